import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { suite, test } from 'node:test'
import { createPicaspotClient, type HookResult, ifMatch, PicaspotError, PicaspotNetworkError } from '@picaspot/client'
import { as, asNewUser, baseUrl, flaky, photoAt, recorder, refusal, somewhere, unique } from './support.js'

suite('calls by name', { concurrency: true }, () => {
  test('create, read, change and delete', async () => {
    const admin = await as('admin')
    const { data: area } = await admin.createArea({ body: { name: unique('Named') } })
    const path = { area_id: area.id }
    const found = await admin.getArea({ path })
    assert.equal(found.data.name, area.name)
    const changed = await admin.updateArea({ path, header: ifMatch(found), body: { description: 'By name.' } })
    assert.equal(changed.data.description, 'By name.')
    const late = admin.updateArea({ path, header: ifMatch(found), body: { description: 'Late.' } })
    assert.equal((await refusal(late)).code, 'version_changed')
    const { data: list } = await admin.listAreas({ query: { search: area.name } })
    assert.deepEqual(
      list.items.map(({ id }) => id),
      [area.id],
    )
    assert.equal((await admin.deleteArea({ path })).data, undefined)
    assert.equal((await refusal(admin.getArea({ path }))).status, 404)
  })

  test('files and forms', async () => {
    const user = await asNewUser()
    const { data } = await user.putAvatar({ body: await photoAt(somewhere()) })
    assert.equal(data.avatar?.content_type, 'image/jpeg')
    const { data: avatar } = await user.getUserAvatar({ path: { user_id: data.id } })
    assert.ok(avatar instanceof Blob)
  })

  test('get a key where they create something', async () => {
    const { fetch, of } = recorder(flaky('/api/v1/areas', 1, { delivered: true }))
    const user = await as('user', { fetch, retry: { baseDelay: 1 } })
    await user.createArea({ body: { name: unique('Once') } })
    const keys = of('/api/v1/areas').map(({ headers }) => headers.get('Idempotency-Key'))
    assert.equal(keys.length, 2)
    assert.ok(keys[0] && keys[0] === keys[1])
  })
})

suite('hooks', { concurrency: true }, () => {
  test('are told each try, and may add headers', async () => {
    const { fetch, of } = recorder(flaky('/healthz', 1))
    const seen: HookResult[] = []
    const client = createPicaspotClient({
      baseUrl,
      fetch,
      retry: { baseDelay: 1 },
      onRequest: ({ headers, attempt }) => headers.set('X-Timezone', `Etc/GMT+${attempt}`),
      onResponse: async (result) => {
        // A hook may read what the caller reads as well.
        if (result.response) assert.ok(await result.response.clone().json())
        seen.push(result)
      },
    })
    assert.equal((await client.getHealth()).data.status, 'ok')
    assert.deepEqual(
      of('/healthz').map(({ headers }) => headers.get('X-Timezone')),
      ['Etc/GMT+1', 'Etc/GMT+2'],
    )
    assert.deepEqual(
      seen.map(({ request, response, error }) => [request.attempt, response?.status, error?.constructor]),
      [
        [1, undefined, PicaspotNetworkError],
        [2, 200, undefined],
      ],
    )
  })

  test('that throw make the call fail', async () => {
    const { fetch, sent } = recorder()
    const before = createPicaspotClient({
      baseUrl,
      fetch,
      onRequest: () => {
        throw new Error('Not now.')
      },
    })
    await assert.rejects(before.getHealth(), /Not now/)
    assert.equal(sent.length, 0)
    const after = createPicaspotClient({ baseUrl, onResponse: () => Promise.reject(new Error('Not so.')) })
    await assert.rejects(after.getHealth(), /Not so/)
  })

  test('the log has a line for each request, and nothing that is private', async () => {
    const lines: string[] = []
    const user = await as('user', { debug: (line) => lines.push(line) })
    const at = somewhere()
    await user.listNearbyLandmarks({ query: { ...at, radius_meters: 10 } })
    await refusal(user.getLandmark({ path: { landmark_id: 'none' } }))
    assert.match(lines[0] ?? '', /^picaspot: POST \/api\/v1\/auth\/login 200 in \d+ ms \(request [-\w]+\)$/)
    assert.match(lines[1] ?? '', /^picaspot: GET \/api\/v1\/landmarks\/nearby 200 in/)
    assert.match(lines[2] ?? '', /^picaspot: GET \/api\/v1\/landmarks\/\{landmark_id\} 400 in/)
    assert.ok(!lines.join().includes(String(at.latitude)))
  })
})

suite('time', { concurrency: true }, () => {
  /** A server that says nothing, or begins to answer and never ends. */
  async function silent(begins: boolean) {
    const server = createServer((_, response) => {
      if (begins) response.writeHead(200, { 'Content-Type': 'application/json' }).write('{')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const close = () => {
      server.closeAllConnections()
      server.close()
    }
    return { url: `http://127.0.0.1:${port}`, close }
  }

  const timedOut = (error: unknown) => {
    assert.ok(error instanceof PicaspotNetworkError)
    assert.ok(error.timedOut)
    assert.equal(error.message, 'The server did not answer in time.')
    return true
  }

  test('is over when the server says nothing', async () => {
    const server = await silent(false)
    try {
      const { fetch, sent } = recorder()
      const retry = { attempts: 2, baseDelay: 1 }
      const client = createPicaspotClient({ baseUrl: server.url, fetch, timeout: 50, retry })
      await assert.rejects(client.getHealth(), timedOut)
      assert.equal(sent.length, 2)
      const patient = createPicaspotClient({ baseUrl: server.url, timeout: false, retry: false })
      await assert.rejects(patient.getHealth({ timeout: 50 }), timedOut)
      // A file has the longer time.
      const uploading = createPicaspotClient({ baseUrl: server.url, timeout: 1, transferTimeout: 80, retry: false })
      const begin = Date.now()
      await assert.rejects(uploading.putAvatar({ body: new Blob(['x'], { type: 'image/png' }) }), timedOut)
      assert.ok(Date.now() - begin >= 75)
    } finally {
      server.close()
    }
  })

  test('is over when the answer does not end', async () => {
    const server = await silent(true)
    try {
      const client = createPicaspotClient({ baseUrl: server.url, transferTimeout: 50, retry: false })
      await assert.rejects(client.getHealth(), timedOut)
    } finally {
      server.close()
    }
  })

  test('that the app sets itself ends with its own reason', async () => {
    const server = await silent(false)
    try {
      const client = createPicaspotClient({ baseUrl: server.url })
      const signal = AbortSignal.timeout(30)
      await assert.rejects(client.getHealth({ signal }), (error) => error === signal.reason)
    } finally {
      server.close()
    }
  })
})

test('a code of a later server arrives', async () => {
  const later = async () => Response.json({ type: '/problems/not_thought_of_yet' }, { status: 409 })
  const error = await refusal(createPicaspotClient({ baseUrl, fetch: later }).getHealth())
  assert.ok(error instanceof PicaspotError)
  assert.equal(error.code as string, 'not_thought_of_yet')
})

test('each module has a source map that leads to its source', () => {
  const dist = new URL('../../dist/', import.meta.url)
  const modules = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  assert.ok(modules.length > 20)
  for (const name of modules) {
    const map = new URL(`${name}.map`, dist)
    const { sources } = JSON.parse(readFileSync(map, 'utf8')) as { sources: string[] }
    for (const source of sources) assert.ok(existsSync(new URL(source, map)), source)
  }
})
