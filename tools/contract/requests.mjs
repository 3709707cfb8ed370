// Sends each request of the Postman collection with Newman, to a server of its own. The
// things that the examples name are not there; what counts is that the server
// understood it.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import newman from 'newman'
import { root, withServer } from './server.mjs'

const collection = JSON.parse(gunzipSync(readFileSync(join(root, 'internal/httpapi/docs/postman.json.gz'))))
const misunderstood = [400, 403, 404, 405, 413, 415, 429, 500, 503]
const run = promisify(newman.run)

/** The requests, which lie in folders. */
const requests = (items) => items.flatMap((one) => (one.item ? requests(one.item) : [one]))

/** Puts in a file where one is chosen by hand. */
function choose({ body }, photo) {
  if (body?.mode === 'file') body.file = { src: photo }
  for (const part of body?.formdata ?? []) if (part.type === 'file') part.src = photo
}

await withServer(
  async ({ url, folder, password }) => {
    const photo = join(folder, 'photo.jpg')
    const drawn = await fetch(`${url}/dev/photo?latitude=53.8671&longitude=8.7206`)
    writeFileSync(photo, Buffer.from(await drawn.arrayBuffer()))
    let sent = 0
    for (const item of requests(collection.item)) {
      choose(item.request, photo)
      // The collection's script logs in for each: some requests end their session.
      const values = { baseUrl: url, identifier: 'admin@picaspot.example', password }
      const ids = Object.fromEntries(JSON.stringify(item).match(/\{\{\w+\}\}/g)?.map((name) => [name.slice(2, -2), '01932c07-209c-7f7e-8d0a-7e1b5f1f0c11']) ?? [])
      const variable = Object.entries({ ...ids, ...values }).map(([key, value]) => ({ key, value }))
      const { run: done } = await run({ collection: { ...collection, item: [item], variable }, workingDir: folder, timeoutRequest: 20_000 })
      const [{ response, requestError }] = done.executions
      const failed = done.failures.map(({ error }) => error.message).join('; ')
      const body = response?.stream.toString() ?? ''
      // A 404 of a thing that is not there names it; that of an address that is not there does not.
      const isRefused = response?.code === 401 && item.request.auth?.type !== 'noauth' && body.includes('token')
      const fine = response && !failed && !isRefused && (!misunderstood.includes(response.code) || (response.code === 404 && !body.includes('nothing at this address')))
      if (!fine) {
        console.error(`${item.name}: ${requestError ?? `${response?.code} ${body}`} ${failed}`)
        process.exitCode = 1
      }
      sent++
    }
    if (sent === 0) throw new Error('The collection has no request.')
    if (!process.exitCode) console.log(`The server understands the ${sent} requests of the collection.`)
  },
  { PICASPOT_RATE_LIMITS: 'login:address=off,login:account=off,write:account=off,write:address=off,password:account=off,password:address=off,mail:address=off' },
)
