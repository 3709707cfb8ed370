import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPicaspotClient, uploadAttempt, waitForAttempt } from '@picaspot/client'
import { as, baseUrl, landmarkAt, password, photoAt, refusal, register, somewhere } from './support.js'

test('from the registration to the unlocked landmark', async () => {
  const at = somewhere()
  const landmarkId = await landmarkAt(await as('admin'), at)

  const client = createPicaspotClient({ baseUrl })
  assert.equal(await client.isLoggedIn(), false)
  const { username, email } = await register(client)
  await client.login({ identifier: email, password })
  assert.equal(await client.isLoggedIn(), true)
  assert.equal((await client.GET('/api/v1/me')).data.username, username)

  const around = { params: { query: { ...at, radius_meters: 1000 } } }
  const before = await client.GET('/api/v1/landmarks/nearby', around)
  assert.deepEqual(
    before.data.items.map(({ id, unlocked, distance_meters }) => ({ id, unlocked, distance_meters })),
    [{ id: landmarkId, unlocked: false, distance_meters: 0 }],
  )

  const photo = await photoAt(at)
  const attempt = await uploadAttempt(client, landmarkId, { photo, ...at, accuracy_meters: 8 })
  assert.equal(attempt.status, 'pending')
  const seen: string[] = []
  const decided = await waitForAttempt(client, attempt.id, { onChange: ({ status }) => seen.push(status) })
  assert.equal(decided.status, 'succeeded', JSON.stringify(decided.checks))
  assert.equal(seen.at(-1), 'succeeded')
  assert.equal(new Set(seen).size, seen.length, 'each change is told once')

  const after = await client.GET('/api/v1/landmarks/nearby', around)
  assert.equal(after.data.items[0]?.unlocked, true)
  const again = await refusal(uploadAttempt(client, landmarkId, { photo: await photoAt(at), ...at }))
  assert.equal(again.code, 'already_unlocked')

  await client.logout()
  assert.equal(await client.isLoggedIn(), false)
  assert.equal((await refusal(client.GET('/api/v1/me'))).code, 'unauthenticated')
})
