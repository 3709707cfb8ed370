import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createPicaspotClient, PicaspotNetworkError, uploadAttempt } from '@picaspot/client'
import {
  as,
  asNewUser,
  baseUrl,
  flaky,
  landmarkAt,
  password,
  photoAt,
  recorder,
  refusal,
  somewhere,
  unique,
} from './support.js'

const quick = { baseDelay: 1 }

suite('retry', { concurrency: true }, () => {
  test('a read is sent again when the network fails', async () => {
    const { fetch, of } = recorder(flaky('/healthz', 2))
    const { data } = await createPicaspotClient({ baseUrl, fetch, retry: quick }).GET('/healthz')
    assert.equal(data.status, 'ok')
    assert.equal(of('/healthz').length, 3)
  })

  test('not more often than is allowed', async () => {
    const { fetch, of } = recorder(flaky('/healthz', 9))
    const client = createPicaspotClient({ baseUrl, fetch, retry: { ...quick, attempts: 2 } })
    await assert.rejects(client.GET('/healthz'), PicaspotNetworkError)
    assert.equal(of('/healthz').length, 2)
    await assert.rejects(client.GET('/healthz', { retry: false }), PicaspotNetworkError)
    assert.equal(of('/healthz').length, 3)
  })

  test('what creates something is sent again under its key, and creates one', async () => {
    const { fetch, of } = recorder(flaky('/api/v1/areas', 1, { delivered: true }))
    const user = await asNewUser({ fetch, retry: quick })
    const name = unique('Once')
    const { data: area, response } = await user.POST('/api/v1/areas', { body: { name } })
    assert.equal(area.name, name)
    assert.equal(response.headers.get('Idempotency-Replayed'), 'true')
    const keys = of('/api/v1/areas').map(({ headers }) => headers.get('Idempotency-Key'))
    assert.equal(keys.length, 2)
    assert.ok(keys[0] && keys[0] === keys[1])
  })

  test('so is a photo', async () => {
    const at = somewhere()
    const landmark = await landmarkAt(await as('admin'), at)
    const user = await asNewUser({ fetch: flaky('/attempts', 1, { delivered: true }), retry: quick })
    const attempt = await uploadAttempt(user, landmark, { photo: await photoAt(at), ...at })
    const { data } = await user.GET('/api/v1/attempts')
    assert.deepEqual(
      data.items.map(({ id }) => id),
      [attempt.id],
    )
  })

  test('a key of the app’s own is kept', async () => {
    const user = await asNewUser()
    const options = { params: { header: { 'Idempotency-Key': unique('key') } }, body: { name: unique('Own') } }
    const first = await user.POST('/api/v1/areas', options)
    const second = await user.POST('/api/v1/areas', options)
    assert.equal(second.data.id, first.data.id)
    const other = await refusal(user.POST('/api/v1/areas', { ...options, body: { name: 'Another' } }))
    assert.deepEqual([other.status, other.code], [422, 'idempotency_key_reused'])
  })

  test('a first try that is still under way is waited for', async () => {
    const { fetch, of } = recorder(async () =>
      of('/api/v1/areas').length === 1
        ? Response.json({ type: '/problems/idempotency_key_in_use', status: 409 }, { status: 409 })
        : Response.json({ id: '1' }, { status: 201 }),
    )
    const client = createPicaspotClient({ baseUrl, fetch, retry: quick })
    assert.equal((await client.POST('/api/v1/areas', { body: { name: 'Slow' } })).data.id, '1')
  })

  test('what may have happened already and has no key is not sent again', async () => {
    const { fetch, of } = recorder(flaky('/api/v1/me', 9, { delivered: true }))
    const user = await asNewUser({ fetch, retry: quick })
    await assert.rejects(user.PATCH('/api/v1/me', { body: { bio: 'Once.' } }), PicaspotNetworkError)
    assert.equal(of('/api/v1/me').length, 1)
  })

  test('nor is a change that is guarded by its ETag', async () => {
    const { fetch, of } = recorder(flaky('/api/v1/areas/', 9, { delivered: true }))
    const user = await asNewUser({ fetch, retry: quick })
    const { data: area } = await user.POST('/api/v1/areas', { body: { name: unique('Guarded') } })
    const params = { path: { area_id: area.id }, header: { 'If-Match': '"1"' } }
    await assert.rejects(user.DELETE('/api/v1/areas/{area_id}', { params }), PicaspotNetworkError)
    assert.equal(of(`/api/v1/areas/${area.id}`).length, 1)
  })

  test('nor is a password that may have been changed', async () => {
    const { fetch, of } = recorder(flaky('/api/v1/me/password', 1, { delivered: true }))
    const user = await asNewUser({ fetch, retry: quick })
    const body = { current_password: password, password: 'eight oaks on the hill' }
    await assert.rejects(user.PUT('/api/v1/me/password', { body }), PicaspotNetworkError)
    assert.equal(of('/api/v1/me/password').length, 1)
    await user.login({ identifier: user.account.username, password: body.password })
  })

  test('a used up limit is waited for', async () => {
    const { fetch, of } = recorder()
    const user = await asNewUser({ fetch })
    await user.GET('/api/v1/me/export')
    const { data } = await user.GET('/api/v1/me/export')
    assert.equal(data.account.username, user.account.username)
    assert.equal(of('/api/v1/me/export').length, 3)
  })

  test('unless the wait is too long', async () => {
    const user = await asNewUser({ retry: { maxDelay: 500 } })
    await user.GET('/api/v1/me/export')
    const error = await refusal(user.GET('/api/v1/me/export'))
    assert.deepEqual([error.status, error.retryAfter], [429, 1])
  })

  test('a server that is busy is asked again', async () => {
    let busy = true
    const { fetch, of } = recorder(async (url, init) => {
      if (!busy) return globalThis.fetch(url, init)
      busy = false
      return Response.json({ type: '/problems/busy', title: 'Service Unavailable', status: 503 }, { status: 503 })
    })
    await createPicaspotClient({ baseUrl, fetch, retry: quick }).GET('/healthz')
    assert.equal(of('/healthz').length, 2)
  })

  test('a pause can be aborted', async () => {
    const gone = new AbortController()
    const { fetch, of } = recorder(async () => {
      setImmediate(() => gone.abort(new Error('Left.')))
      throw new TypeError('fetch failed')
    })
    const client = createPicaspotClient({ baseUrl, fetch, retry: { baseDelay: 60_000, maxDelay: 60_000 } })
    await assert.rejects(client.GET('/healthz', { signal: gone.signal }), /Left/)
    assert.equal(of('/healthz').length, 1)
  })
})
