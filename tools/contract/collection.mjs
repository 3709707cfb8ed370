// Makes the Postman collection that the server serves at /docs/postman.json from the
// contract; with --check it fails when the one that is there is another.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync, gzipSync } from 'node:zlib'
import postman from 'openapi-to-postmanv2'
import { root } from './server.mjs'

const target = join(root, 'internal/httpapi/docs/postman.json.gz')
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
  // Times are drawn at random where there is no example; the present one is of use.
  if (/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/.test(value?.value)) return { ...value, value: '{{$isoTimestamp}}' }
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

/**
 * Public operations take no token, all others the collection's. Forms have the contract's
 * example, and not one value of each enum.
 */
function fill({ item, request }) {
  item?.forEach(fill)
  if (!request) return
  const path = `/${request.url.path.map((part) => part.replace(/^:(\w+)/, '{$1}')).join('/')}`
  const operation = contract.paths[path][request.method.toLowerCase()]
  if (operation.security?.length === 0) request.auth = { type: 'noauth' }
  else delete request.auth
  if (request.body?.mode !== 'urlencoded') return
  const { example } = operation.requestBody.content['application/x-www-form-urlencoded']
  for (const field of request.body.urlencoded) {
    field.disabled = !(field.key in example)
    field.value = example[field.key] ?? ''
  }
}
fill(collection)

const script = (listen, name) => ({ listen, script: { type: 'text/javascript', exec: readFileSync(new URL(name, import.meta.url), 'utf8').trimEnd().split('\n') } })

const requests = {
  info: { ...collection.info, name: 'PicASpot' },
  item: collection.item,
  auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{accessToken}}', type: 'string' }] },
}
const made = `${JSON.stringify(
  { ...JSON.parse(JSON.stringify(requests, needed)), event: [script('prerequest', 'login.postman.js')], variable: variables() },
  null,
  1,
)}\n`

/** What a reader fills in, and what the login keeps. */
function variables() {
  return ['baseUrl', 'identifier', 'password', 'accessToken', 'accessTokenExpires', 'accessTokenOf'].map((key) => ({
    key,
    value: key === 'baseUrl' ? 'http://localhost:8080' : '',
  }))
}

if (process.argv.includes('--check')) {
  if (!existsSync(target) || gunzipSync(readFileSync(target)).toString() !== made) {
    throw new Error('The Postman collection is not what `make generate` makes. Run it and commit the result.')
  }
  console.log('The Postman collection is current.')
} else {
  writeFileSync(target, gzipSync(made, { level: 9 }))
  console.log(`Wrote ${target}`)
}
