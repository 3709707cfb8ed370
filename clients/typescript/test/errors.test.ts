import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  createPicaspotClient,
  ifMatch,
  type LandmarkCreate,
  PicaspotNetworkError,
  uploadAttempt,
} from '@picaspot/client'
import { as, asNewUser, baseUrl, landmarkAt, password, photoAt, refusal, somewhere, unique } from './support.js'
import { otp } from './totp.js'

const nobody = '01932c07-209c-7f7e-8d0a-7e1b5f1f0c11'

suite('errors', { concurrency: true }, () => {
  test('a malformed request names every fault', async () => {
    const admin = await as('admin')
    const body = { area_id: nobody, name: '', difficulty: 9, latitude: 91, longitude: 0, colour: 'red' }
    const error = await refusal(admin.POST('/api/v1/landmarks', { body: body as LandmarkCreate }))
    assert.equal(error.status, 400)
    assert.equal(error.type, '/problems/invalid_request')
    assert.equal(error.code, 'invalid_request')
    assert.equal(error.title, 'Bad Request')
    assert.equal(error.message, error.detail)
    assert.equal(error.instance, '/api/v1/landmarks')
    assert.equal(error.requestId, error.response.headers.get('X-Request-ID'))
    assert.deepEqual(
      error.errors.map(({ pointer }) => pointer),
      ['/colour', '/difficulty', '/latitude', '/name'],
    )
    assert.ok(error.errors.every(({ code, message }) => code && message))
  })

  test('a faulty parameter is named', async () => {
    const user = await as('user')
    const query = { latitude: 95, longitude: 8, radius_meters: 0 }
    const error = await refusal(user.GET('/api/v1/landmarks/nearby', { params: { query } }))
    assert.deepEqual(
      error.errors.map(({ parameter }) => parameter),
      ['latitude', 'radius_meters'],
    )
  })

  test('without a session', async () => {
    const error = await refusal(createPicaspotClient({ baseUrl }).GET('/api/v1/areas'))
    assert.deepEqual([error.status, error.code], [401, 'unauthenticated'])
  })

  test('what the role does not allow', async () => {
    const user = await as('user')
    const error = await refusal(user.GET('/api/v1/admin/policy'))
    assert.deepEqual([error.status, error.code], [403, 'forbidden'])
  })

  test('what there is not', async () => {
    const user = await as('user')
    const params = { path: { landmark_id: nobody } }
    const error = await refusal(user.GET('/api/v1/landmarks/{landmark_id}', { params }))
    assert.deepEqual([error.status, error.code, error.errors.length], [404, 'not_found', 0])
  })

  test('what is there already', async () => {
    const user = await as('user')
    const body = { name: unique('Twin') }
    await user.POST('/api/v1/areas', { body })
    const error = await refusal(user.POST('/api/v1/areas', { body }))
    assert.deepEqual([error.status, error.code], [409, 'area_name_taken'])
  })

  test('a lost update', async () => {
    const user = await as('user')
    const { data: area } = await user.POST('/api/v1/areas', { body: { name: unique('Contested') } })
    const params = { path: { area_id: area.id } }
    const read = await user.GET('/api/v1/areas/{area_id}', { params })
    const first = await user.PATCH('/api/v1/areas/{area_id}', {
      params: { ...params, header: ifMatch(read) },
      body: { description: 'Mine.' },
    })
    const late = { params: { ...params, header: ifMatch(read) }, body: { description: 'No, mine.' } }
    const error = await refusal(user.PATCH('/api/v1/areas/{area_id}', late))
    assert.deepEqual([error.status, error.code], [412, 'version_changed'])
    assert.equal((await user.GET('/api/v1/areas/{area_id}', { params })).etag, first.etag)
  })

  test('a file that is no photo', async () => {
    const at = somewhere()
    const landmark = await landmarkAt(await as('admin'), at)
    const photo = new Blob(['GIF89a, or nearly'], { type: 'image/gif' })
    const error = await refusal(uploadAttempt(await as('user'), landmark, { photo, ...at }))
    assert.deepEqual([error.status, error.code], [415, 'photo_format'])
  })

  test('a rule that is broken', async () => {
    const user = await as('user')
    const error = await refusal(user.POST('/api/v1/areas', { body: { name: 'Stray', parent_area_id: nobody } }))
    assert.deepEqual([error.status, error.code], [422, 'parent_area_unknown'])
    assert.equal(error.errors[0]?.pointer, '/parent_area_id')
  })

  test('a limit that is used up says how long to wait', async () => {
    const user = await asNewUser({ retry: false })
    await user.GET('/api/v1/me/export')
    const error = await refusal(user.GET('/api/v1/me/export'))
    assert.deepEqual([error.status, error.code, error.retryAfter], [429, 'rate_limited', 1])
  })

  test('an answer that is not the server’s', async () => {
    const proxy = async () => new Response('<h1>Bad Gateway</h1>', { status: 502, statusText: 'Bad Gateway' })
    const error = await refusal(createPicaspotClient({ baseUrl, fetch: proxy }).GET('/healthz'))
    assert.deepEqual(
      [error.status, error.type, error.code, error.message],
      [502, 'about:blank', undefined, 'Bad Gateway'],
    )
  })

  test('a page in the place of an answer', async () => {
    const headers = { 'Content-Type': 'text/html' }
    const hotel = async () => new Response('<h1>Welcome</h1>', { headers })
    const error = await refusal(createPicaspotClient({ baseUrl, fetch: hotel }).GET('/healthz'))
    assert.deepEqual([error.status, error.code, error.title], [200, undefined, 'Unexpected Answer'])
  })

  test('an answer that breaks off', async () => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new TypeError('terminated')) })
    const broken = async () => new Response(body, { headers: { 'Content-Type': 'application/json' } })
    await assert.rejects(createPicaspotClient({ baseUrl, fetch: broken }).GET('/healthz'), PicaspotNetworkError)
  })

  test('a date in Retry-After', async () => {
    const headers = { 'Retry-After': new Date(Date.now() + 60_000).toUTCString() }
    const proxy = async () => new Response('', { status: 503, headers })
    const error = await refusal(createPicaspotClient({ baseUrl, fetch: proxy }).GET('/healthz'))
    assert.ok(error.retryAfter && error.retryAfter > 50 && error.retryAfter <= 60)
  })

  test('a server that is away is no refusal', async () => {
    const client = createPicaspotClient({ baseUrl: 'http://127.0.0.1:9', retry: false })
    await assert.rejects(
      client.GET('/healthz'),
      (error) => error instanceof PicaspotNetworkError && error.cause instanceof TypeError,
    )
  })

  test('a browser learns what to set when its page may not be allowed', async () => {
    const away = 'http://127.0.0.1:9'
    const message = async (page: string | undefined) => {
      if (page) Object.assign(globalThis, { location: new URL(page) })
      try {
        const error = await createPicaspotClient({ baseUrl: away, retry: false })
          .GET('/healthz')
          .catch((it) => it)
        assert.ok(error instanceof PicaspotNetworkError)
        return error.message
      } finally {
        Reflect.deleteProperty(globalThis, 'location')
      }
    }
    const plain = 'The server could not be reached.'
    assert.match(await message('http://localhost:5173/map'), /add http:\/\/localhost:5173 to its PICASPOT_CORS_ORIGINS/)
    assert.match(await message('file:///app/index.html'), /serve it over HTTP/)
    assert.equal(await message(`${away}/app`), plain)
    assert.equal(await message(undefined), plain)
  })

  test('a second factor that is needed is told apart', async () => {
    const user = await asNewUser()
    const { data } = await user.POST('/api/v1/me/mfa/totp', { body: { password } })
    await user.POST('/api/v1/me/mfa/totp/confirm', { body: { otp: otp(data.secret) } })
    const again = createPicaspotClient({ baseUrl })
    const error = await refusal(again.login({ identifier: user.account.username, password }))
    assert.deepEqual([error.status, error.code], [401, 'otp_required'])
    assert.equal(await again.isLoggedIn(), false)
  })

  test('a photo that was handed in by nobody', async () => {
    const at = somewhere()
    const upload = uploadAttempt(createPicaspotClient({ baseUrl }), nobody, { photo: await photoAt(at), ...at })
    assert.equal((await refusal(upload)).status, 401)
  })
})
