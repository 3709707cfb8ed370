import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  createPicaspotClient,
  memoryStore,
  type PicaspotError,
  PicaspotNetworkError,
  type TokenStore,
} from '@picaspot/client'
import { as, asNewUser, baseUrl, flaky, password, recorder, refusal } from './support.js'

const refresh = '/api/v1/auth/refresh'
const soon = () => Date.now() + 3_600_000

/** A store whose content a test can spoil. */
async function spoil(store: TokenStore, change: { accessToken?: string; expiresAt?: number; refreshToken?: string }) {
  const tokens = await store.load()
  assert.ok(tokens)
  await store.save({ ...tokens, ...change })
}

/** A client that takes its tokens from the store of another one that logged in. */
async function resumed(change: { accessToken?: string; expiresAt?: number; refreshToken?: string }) {
  const tokenStore = memoryStore()
  const { account } = await asNewUser({ tokenStore })
  await spoil(tokenStore, change)
  const ended: (PicaspotError | undefined)[] = []
  const { fetch, sent, of } = recorder()
  const client = createPicaspotClient({ baseUrl, fetch, tokenStore, onSessionEnded: (error) => ended.push(error) })
  return { client, account, tokenStore, ended, sent, of }
}

suite('session', { concurrency: true }, () => {
  test('many requests with an expired access token make one refresh', async () => {
    const { client, account, of, sent } = await resumed({ expiresAt: Date.now() })
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.GET('/api/v1/me')))
    assert.ok(answers.every(({ data }) => data.username === account.username))
    assert.equal(of(refresh).length, 1)
    assert.equal(sent.length, 51, 'each was sent once')
  })

  test('many requests with a refused access token make one refresh, and are sent again once', async () => {
    const { client, account, of } = await resumed({ accessToken: 'not.a.token', expiresAt: soon() })
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.GET('/api/v1/me')))
    assert.ok(answers.every(({ data }) => data.username === account.username))
    assert.equal(of(refresh).length, 1)
    assert.ok(of('/api/v1/me').length <= 100)
  })

  test('a refused upload is sent again with its body', async () => {
    const { client, tokenStore } = await resumed({ accessToken: 'not.a.token', expiresAt: soon() })
    const { data } = await client.PATCH('/api/v1/me', { body: { bio: 'Collects lighthouses.' } })
    assert.equal(data.bio, 'Collects lighthouses.')
    assert.notEqual((await tokenStore.load())?.accessToken, 'not.a.token')
  })

  test('a session that was ended elsewhere is told once', async () => {
    const { client, account, tokenStore, ended, of } = await resumed({})
    const elsewhere = createPicaspotClient({ baseUrl })
    await elsewhere.login({ identifier: account.username, password })
    await elsewhere.logout({ everywhere: true })
    const refusals = await Promise.all(Array.from({ length: 10 }, () => refusal(client.GET('/api/v1/me'))))
    assert.ok(refusals.every(({ status }) => status === 401))
    assert.equal(of(refresh).length, 1)
    assert.deepEqual(
      ended.map((error) => error?.code),
      ['refresh_token_invalid'],
    )
    assert.equal(await tokenStore.load(), undefined)
    assert.equal(await client.isLoggedIn(), false)
  })

  test('a lost answer of the refresh does not end the session', async () => {
    const tokenStore = memoryStore()
    const { account } = await asNewUser({ tokenStore })
    await spoil(tokenStore, { expiresAt: 0 })
    const { fetch, of } = recorder(flaky(refresh, 1, { delivered: true }))
    const client = createPicaspotClient({ baseUrl, fetch, tokenStore, onSessionEnded: () => assert.fail('It ended.') })
    assert.equal((await client.GET('/api/v1/me')).data.username, account.username)
    assert.equal(of(refresh).length, 2)
  })

  test('without a network the session stays', async () => {
    const tokenStore = memoryStore()
    await asNewUser({ tokenStore })
    await spoil(tokenStore, { expiresAt: 0 })
    const onSessionEnded = () => assert.fail('It ended.')
    const offline = createPicaspotClient({ baseUrl, fetch: flaky('', 9), retry: false, tokenStore, onSessionEnded })
    await assert.rejects(offline.GET('/api/v1/me'), PicaspotNetworkError)
    assert.equal(await offline.isLoggedIn(), true)
    const online = createPicaspotClient({ baseUrl, tokenStore, onSessionEnded })
    assert.equal((await online.GET('/api/v1/me')).response.status, 200)
  })

  test('two clients that share a store take over what the other renewed', async () => {
    const { client, tokenStore } = await resumed({})
    await client.GET('/api/v1/me')
    const { fetch, of } = recorder()
    const other = createPicaspotClient({ baseUrl, fetch, tokenStore })
    await other.refresh()
    assert.equal(of(refresh).length, 1)
    await client.refresh()
    await other.GET('/api/v1/me')
    assert.equal(of(refresh).length, 1, 'the second client has not heard of it and needs no refresh')
  })

  test('a store that fails does not bring spent tokens back', async () => {
    const tokenStore = memoryStore()
    const { account } = await asNewUser({ tokenStore })
    const { fetch, of } = recorder()
    const readOnly: TokenStore = { load: () => tokenStore.load(), save: () => {} }
    const onSessionEnded = () => assert.fail('It ended.')
    const client = createPicaspotClient({ baseUrl, fetch, tokenStore: readOnly, onSessionEnded })
    await client.refresh()
    await client.refresh()
    assert.equal((await client.GET('/api/v1/me')).data.username, account.username)
    assert.equal(of(refresh).length, 2)
  })

  test('an aborted request does not take the refresh of the others along', async () => {
    const { client, account, of } = await resumed({ expiresAt: 0 })
    const gone = new AbortController()
    const aborted = client.GET('/api/v1/me', { signal: gone.signal })
    const stays = client.GET('/api/v1/me')
    gone.abort(new Error('The page was left.'))
    await assert.rejects(aborted, /The page was left/)
    assert.equal((await stays).data.username, account.username)
    assert.equal(of(refresh).length, 1)
  })

  test('a logout is not undone by a refresh on its way', async () => {
    const { client, tokenStore, ended } = await resumed({ expiresAt: 0 })
    const [, renewal] = await Promise.allSettled([client.logout(), client.GET('/api/v1/me')])
    assert.ok(renewal)
    assert.equal(await tokenStore.load(), undefined)
    assert.equal(await client.isLoggedIn(), false)
    assert.deepEqual(ended, [])
  })

  test('a wrong password is no ended session', async () => {
    const { client, account, ended, of } = await resumed({})
    const error = await refusal(client.login({ identifier: account.username, password: 'something else' }))
    assert.equal(error.status, 401)
    assert.equal(error.code, 'bad_credentials')
    assert.equal(of(refresh).length, 0)
    assert.deepEqual(ended, [])
    assert.equal(await client.isLoggedIn(), true)
  })

  test('a change of the role counts at once', async () => {
    const { client, account } = await resumed({})
    const admin = await as('admin')
    const { data: found } = await admin.GET('/api/v1/admin/users', { params: { query: { search: account.username } } })
    const id = found.items[0]?.id
    assert.ok(id)
    await admin.PATCH('/api/v1/admin/users/{user_id}', {
      params: { path: { user_id: id } },
      body: { role: 'moderator' },
    })
    assert.equal((await client.GET('/api/v1/me')).data.role, 'moderator')
  })

  test('with a cookie no script sees the refresh token', async () => {
    let cookie = ''
    const { account } = await asNewUser()
    const { fetch, sent, of } = recorder(async (url, init) => {
      const headers = new Headers(init.headers)
      // As a browser does it: the cookie is for one path and for requests with credentials.
      if (cookie && init.credentials === 'include' && url.includes('/api/v1/auth/')) headers.set('Cookie', cookie)
      const answer = await globalThis.fetch(url, { ...init, headers })
      const [set] = answer.headers.getSetCookie()
      if (set) cookie = set.includes('Max-Age=0') ? '' : (set.split(';')[0] ?? '')
      return answer
    })
    const tokenStore = memoryStore()
    const client = createPicaspotClient({ baseUrl, fetch, tokenStore, cookie: true })
    assert.equal(await client.isLoggedIn(), false)
    await client.login({ identifier: account.username, password })
    assert.ok(cookie.includes('picaspot_refresh='))
    assert.equal((await tokenStore.load())?.refreshToken, undefined)

    sent.length = 0
    const reloaded = createPicaspotClient({ baseUrl, fetch, cookie: true })
    const answers = await Promise.all([reloaded.GET('/api/v1/me'), reloaded.GET('/api/v1/areas')])
    assert.equal(answers[0].data.username, account.username)
    assert.equal(of(refresh).length, 1)

    await reloaded.logout()
    assert.equal(cookie, '')
    assert.equal(await createPicaspotClient({ baseUrl, fetch, cookie: true }).isLoggedIn(), false)
  })
})
