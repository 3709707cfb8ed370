// Stoplight Elements, which renders the operation that is looked at, and a search for it.

/** Puts the operations where the search proposes them, by summary, method and path. */
function propose({ paths }) {
  const targets = new Map()
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, { operationId, summary }] of Object.entries(item)) {
      if (operationId) targets.set(`${summary} – ${method.toUpperCase()} ${path}`, operationId)
    }
  }
  const options = [...targets.keys()].map((value) => Object.assign(document.createElement('option'), { value }))
  document.getElementById('operations').replaceChildren(...options)
  return targets
}

/** Goes to the operation that was chosen, or that alone fits what was typed. */
function find(input, targets, isComplete) {
  const phrase = input.value.trim().toLowerCase()
  const all = [...targets].filter(([text, id]) => `${text} ${id}`.toLowerCase().includes(phrase))
  const target = targets.get(input.value) ?? (isComplete && phrase && all[0]?.[1])
  if (!target) return
  location.hash = `#/operations/${target}`
  input.value = ''
  input.blur()
}

const answer = await fetch('/openapi.json')
if (!answer.ok) throw new Error(`/openapi.json: ${answer.status}`)
const contract = await answer.text()

const elements = document.createElement('elements-api')
elements.apiDescriptionDocument = contract
for (const [name, value] of Object.entries({ router: 'hash', layout: 'responsive', hideTryIt: 'true', hideExport: 'true' })) {
  elements.setAttribute(name, value)
}
document.getElementById('reference').replaceChildren(elements)

const targets = propose(JSON.parse(contract))
const form = document.querySelector('form[role=search]')
const input = form.querySelector('input')
input.addEventListener('input', () => find(input, targets, false))
form.addEventListener('submit', (event) => {
  event.preventDefault()
  find(input, targets, true)
})
