import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { getIfChanged, ifMatch, paginate, paginatePages } from '@picaspot/client'
import { as, asNewUser, landmarkAt, photoAt, recorder, somewhere, unique } from './support.js'

async function areaWithLandmarks(count: number) {
  const { fetch, of } = recorder()
  const user = await asNewUser({ fetch })
  const { data: area } = await user.POST('/api/v1/areas', { body: { name: unique('Many') } })
  const names = Array.from({ length: count }, (_, i) => `Stone ${i}`)
  for (const [i, name] of names.entries()) {
    await user.POST('/api/v1/landmarks', { body: { area_id: area.id, name, latitude: -60 + i / 10, longitude: 20 } })
  }
  return { user, area, names, of }
}

suite('resources', { concurrency: true }, () => {
  test('a list is walked through page after page', async () => {
    const { user, area, names, of } = await areaWithLandmarks(7)
    const query = { area_id: area.id, sort_by: 'created_at', sort_order: 'asc', size: 3 } as const
    const found: string[] = []
    for await (const landmark of paginate(user, '/api/v1/landmarks', { query })) found.push(landmark.name)
    assert.deepEqual(found, names)
    assert.equal(of('/api/v1/landmarks').filter(({ method }) => method === 'GET').length, 3)
  })

  test('only what is needed is asked for, and it can be gone on with', async () => {
    const { user, area, names, of } = await areaWithLandmarks(4)
    const options = {
      path: { area_id: area.id },
      query: { sort_by: 'created_at', sort_order: 'asc', size: 2 },
    } as const
    let cursor: string | undefined
    for await (const page of paginatePages(user, '/api/v1/areas/{area_id}/landmarks', options)) {
      cursor = page.nextCursor
      break
    }
    assert.ok(cursor)
    assert.equal(of(`/api/v1/areas/${area.id}/landmarks`).length, 1)
    const rest: string[] = []
    for await (const { name } of paginate(user, '/api/v1/areas/{area_id}/landmarks', { ...options, cursor }))
      rest.push(name)
    assert.deepEqual(rest, names.slice(2))
  })

  test('an empty list has no items', async () => {
    for await (const unlock of paginate(await asNewUser(), '/api/v1/unlocks')) assert.fail(unlock.id)
  })

  test('a patch leaves what is absent and clears what is null', async () => {
    const user = await asNewUser()
    await user.PATCH('/api/v1/me', { body: { display_name: 'Ada', bio: 'Collects lighthouses.' } })
    const { data } = await user.PATCH('/api/v1/me', { body: { display_name: null } })
    assert.deepEqual([data.display_name, data.bio], [null, 'Collects lighthouses.'])
  })

  test('what did not change is not sent again', async () => {
    const user = await as('user')
    const { data: area } = await user.POST('/api/v1/areas', { body: { name: unique('Steady') } })
    const params = { path: { area_id: area.id } }
    const first = await getIfChanged(user, '/api/v1/areas/{area_id}', { params, etag: undefined })
    assert.ok(first.changed)
    assert.equal(first.data.id, area.id)
    assert.deepEqual(await getIfChanged(user, '/api/v1/areas/{area_id}', { params, etag: first.etag }), {
      changed: false,
      etag: first.etag,
    })
    const body = { description: 'Not any more.' }
    await user.PATCH('/api/v1/areas/{area_id}', { params: { ...params, header: ifMatch(first) }, body })
    const second = await getIfChanged(user, '/api/v1/areas/{area_id}', { params, etag: first.etag })
    assert.ok(second.changed && second.data.description === 'Not any more.')
  })

  test('without an ETag nothing is guarded', () => {
    assert.throws(() => ifMatch({ etag: undefined }), TypeError)
    assert.deepEqual(ifMatch('"7"'), { 'If-Match': '"7"' })
  })

  test('an image goes up and comes down as a file', async () => {
    const at = somewhere()
    const admin = await as('admin')
    const params = { path: { landmark_id: await landmarkAt(admin, at) } }
    const { data: landmark } = await admin.PUT('/api/v1/landmarks/{landmark_id}/image', {
      params,
      body: await photoAt(at),
    })
    assert.equal(landmark.image?.content_type, 'image/jpeg')
    const { data: image } = await admin.GET('/api/v1/landmarks/{landmark_id}/image', { params })
    assert.equal(image.type, 'image/jpeg')
    assert.equal(image.size, landmark.image?.bytes)
    const { data: nothing, response } = await admin.DELETE('/api/v1/landmarks/{landmark_id}/image', { params })
    assert.deepEqual([nothing, response.status], [undefined, 204])
  })

  test('the policy is a text', async () => {
    const admin = await as('admin')
    const policy = await admin.GET('/api/v1/admin/policy')
    assert.match(policy.data, /^p, user, area/m)
    const { data } = await admin.PUT('/api/v1/admin/policy', {
      params: { header: ifMatch(policy), query: { comment: 'A remark.' } },
      body: `${policy.data}# ${unique('remark')}\n`,
    })
    assert.equal(data.comment, 'A remark.')
  })

  test('a form is sent as one', async () => {
    const { data } = await (await as('user')).POST('/api/v1/auth/token', {
      body: { grant_type: 'password', username: 'user@picaspot.example', password: 'picaspot-on-a-laptop' },
    })
    assert.equal(data.token_type, 'Bearer')
  })

  test('headers of the client go with every request', async () => {
    const { fetch, sent } = recorder()
    const user = await as('user', { fetch, headers: { 'X-Timezone': 'Asia/Singapore' } })
    const { data } = await user.GET('/api/v1/me')
    assert.match(data.created_at, /\+08:00$/)
    assert.ok(sent.every(({ headers }) => headers.get('X-Timezone') === 'Asia/Singapore'))
  })
})
