// Makes the Postman collection from the contract, bin/picaspot.postman_collection.json.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import postman from 'openapi-to-postmanv2'
import { root } from './server.mjs'

const target = join(root, 'bin/picaspot.postman_collection.json')
const { result, reason, output } = await promisify(postman.convertV2)(
  { type: 'string', data: readFileSync(join(root, 'openapi.yaml'), 'utf8') },
  { folderStrategy: 'Tags', parametersResolution: 'Example', enableOptionalParameters: false },
)
if (!result) throw new Error(reason)
const [{ data: collection }] = output

/**
 * What a request needs: without ids, which are drawn anew each time, and the answers, which
 * the reference shows. Optional parameters, which are not sent unless somebody ticks them,
 * have no value, and ids are variables, where random ones would stand.
 */
function needed(key, value) {
  if (['response', 'id', '_postman_id'].includes(key)) return undefined
  if (value?.disabled && 'value' in value) return { ...value, value: '' }
  if (typeof value?.value === 'string' && value.key in examples) return { ...value, value: String(examples[value.key]) }
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value?.value) ? { ...value, value: `{{${value.key}}}` } : value
}

const contract = JSON.parse(
  execFileSync('go', ['run', './internal/apidoc/cmd/apidoc'], { cwd: root, maxBuffer: 64 << 20 }).toString(),
)
// The converter passes by examples of parameters that several operations share.
const { parameters } = contract.components
const examples = Object.fromEntries(
  Object.values(parameters).map(({ name, example, schema }) => [name, example ?? schema.example]).filter(([, example]) => example !== undefined),
)

/** Forms have the contract's example, and not one value of each enum. */
function fill({ item, request }) {
  item?.forEach(fill)
  if (request?.body?.mode !== 'urlencoded') return
  const path = `/${request.url.path.join('/')}`
  const { example } = contract.paths[path][request.method.toLowerCase()].requestBody.content['application/x-www-form-urlencoded']
  for (const field of request.body.urlencoded) {
    field.disabled = !(field.key in example)
    field.value = example[field.key] ?? ''
  }
}
fill(collection)

const requests = { info: collection.info, item: collection.item, auth: collection.auth }
const made = `${JSON.stringify({ ...JSON.parse(JSON.stringify(requests, needed)), variable: variables() }, null, 1)}\n`

/** baseUrl and the token, which each has to fill in. */
function variables() {
  return [
    { key: 'baseUrl', value: 'http://localhost:8080' },
    { key: 'bearerToken', value: '' },
  ]
}

mkdirSync(join(root, 'bin'), { recursive: true })
writeFileSync(target, made)
console.log(`Wrote ${target}`)
