import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  createPicaspotClient,
  type NativeFile,
  PicaspotNetworkError,
  type Progress,
  pollAttempt,
  uploadAttempt,
  waitForAttempt,
} from '@picaspot/client'
import { as, asNewUser, baseUrl, flaky, landmarkAt, photoAt, recorder, refusal, somewhere } from './support.js'
import { FakeXMLHttpRequest, withXMLHttpRequest } from './xhr.js'

/** A photo of more than one piece: what stands behind the end of a JPEG is no part of the picture. */
async function largePhotoAt(at: { latitude: number; longitude: number }): Promise<Blob> {
  return new Blob([await photoAt(at), new Uint8Array(1_000_000)], { type: 'image/jpeg' })
}

function assertProgress(seen: Progress[], atLeast: number) {
  const total = seen[0]?.total ?? 0
  assert.ok(total > atLeast && total < atLeast + 2000, `${total} for a photo of ${atLeast}`)
  assert.ok(seen.length > 2, `${seen.length} steps`)
  for (const [i, step] of seen.entries()) {
    assert.equal(step.total, total)
    assert.ok(step.loaded > (seen[i - 1]?.loaded ?? 0))
  }
  assert.equal(seen.at(-1)?.loaded, total)
}

suite('uploads', { concurrency: true }, () => {
  test('progress is told in Node, and the photo arrives', async () => {
    const at = somewhere()
    const user = await as('user')
    const photo = await largePhotoAt(at)
    const seen: Progress[] = []
    const landmark = await landmarkAt(await as('admin'), at)
    const attempt = await uploadAttempt(user, landmark, { photo, ...at }, { onProgress: (step) => seen.push(step) })
    assert.equal(attempt.photo.bytes, photo.size)
    assert.deepEqual([attempt.latitude, attempt.longitude, attempt.accuracy_meters], [at.latitude, at.longitude, null])
    assertProgress(seen, photo.size)
  })

  test('an image is sent with progress too', async () => {
    const photo = await largePhotoAt(somewhere())
    const seen: Progress[] = []
    const user = await asNewUser()
    const { data } = await user.PUT('/api/v1/me/avatar', { body: photo, onProgress: (step) => seen.push(step) })
    assert.equal(data.avatar?.content_type, 'image/jpeg')
    assert.equal(seen.at(-1)?.total, photo.size)
  })

  test('an upload can be aborted', async () => {
    const at = somewhere()
    const user = await asNewUser()
    const landmark = await landmarkAt(await as('admin'), at)
    const gone = new AbortController()
    const onProgress = () => gone.abort(new Error('Never mind.'))
    const upload = uploadAttempt(
      user,
      landmark,
      { photo: await largePhotoAt(at), ...at },
      { signal: gone.signal, onProgress },
    )
    await assert.rejects(upload, /Never mind/)
    assert.equal((await user.GET('/api/v1/attempts')).data.total, 0)
  })

  test('the name of the file stays at home', async () => {
    const at = somewhere()
    let sent: FormData | undefined
    const user = await as('user', {
      fetch: (url, init) => {
        if (init.body instanceof FormData) sent = init.body
        return fetch(url, init)
      },
    })
    const photo = new File([await photoAt(at)], 'at-home.jpg', { type: 'image/jpeg' })
    await uploadAttempt(user, await landmarkAt(await as('admin'), at), { photo, ...at })
    const sentPhoto = sent?.get('photo')
    assert.ok(sentPhoto instanceof File)
    assert.equal(sentPhoto.name, 'photo')
  })
})

// These stand in for a part of the platform: one at a time.
suite('uploads elsewhere', () => {
  test('progress is told where there is an XMLHttpRequest', async () => {
    const at = somewhere()
    const user = await as('user')
    const photo = await largePhotoAt(at)
    const landmark = await landmarkAt(await as('admin'), at)
    await withXMLHttpRequest(async () => {
      const seen: Progress[] = []
      const attempt = await uploadAttempt(user, landmark, { photo, ...at }, { onProgress: (step) => seen.push(step) })
      assert.equal(attempt.photo.bytes, photo.size)
      assertProgress(seen, photo.size)

      const error = await refusal(uploadAttempt(user, attempt.id, { photo, ...at }, { onProgress: () => {} }))
      assert.deepEqual([error.status, error.code], [404, 'not_found'])
      assert.equal(error.requestId, error.response.headers.get('X-Request-ID'))

      const gone = new AbortController()
      const onProgress = () => gone.abort(new Error('Never mind.'))
      await assert.rejects(
        uploadAttempt(user, landmark, { photo, ...at }, { signal: gone.signal, onProgress }),
        /Never mind/,
      )

      FakeXMLHttpRequest.offline = true
      await assert.rejects(uploadAttempt(user, landmark, { photo, ...at }, { onProgress }), PicaspotNetworkError)
    })
  })

  test('a file of React Native goes into the form as it is', async () => {
    const appended: unknown[] = []
    class NativeFormData extends FormData {
      override append(name: string, value: unknown) {
        appended.push([name, value])
      }
    }
    const { FormData: original } = globalThis
    globalThis.FormData = NativeFormData
    try {
      const client = createPicaspotClient({ baseUrl, fetch: async () => Response.json({ id: '1' }, { status: 202 }) })
      const photo: NativeFile = { uri: 'file:///DCIM/at-home.jpg', type: 'image/jpeg', name: 'at-home.jpg' }
      await uploadAttempt(client, '1', { photo, latitude: 1, longitude: 2 })
    } finally {
      globalThis.FormData = original
    }
    assert.deepEqual(appended, [
      ['photo', { uri: 'file:///DCIM/at-home.jpg', type: 'image/jpeg', name: 'photo' }],
      ['latitude', '1'],
      ['longitude', '2'],
    ])
  })
})

suite('waiting for an attempt', { concurrency: true }, () => {
  test('survives a network that comes and goes', async () => {
    const at = somewhere()
    const { fetch, of } = recorder(flaky('/api/v1/attempts/', 4))
    const user = await asNewUser({ fetch, retry: false })
    const { id } = await uploadAttempt(user, await landmarkAt(await as('admin'), at), {
      photo: await photoAt(at),
      ...at,
    })
    const decided = await waitForAttempt(user, id, { source: pollAttempt({ baseDelay: 10 }) })
    assert.equal(decided.status, 'succeeded')
    assert.ok(of(`/api/v1/attempts/${id}`).length > 4)
  })

  test('is refused at once what is somebody else’s', async () => {
    const at = somewhere()
    const landmark = await landmarkAt(await as('admin'), at)
    const { id } = await uploadAttempt(await as('user'), landmark, { photo: await photoAt(at), ...at })
    assert.equal((await refusal(waitForAttempt(await asNewUser(), id))).status, 404)
  })

  test('gives up on a network that is gone', async () => {
    const { fetch, of } = recorder(flaky('/attempts/', 99))
    const client = createPicaspotClient({ baseUrl, fetch, retry: false })
    const wait = waitForAttempt(client, '1', { source: pollAttempt({ baseDelay: 1, failures: 3 }) })
    await assert.rejects(wait, PicaspotNetworkError)
    assert.equal(of('/api/v1/attempts/1').length, 3)
  })

  test('asks on the condition that something changed', async () => {
    const pending = { status: 'pending' }
    const answers = [
      Response.json(pending, { headers: { ETag: '"1"' } }),
      new Response(null, { status: 304, headers: { ETag: '"1"' } }),
      Response.json({ status: 'needs_review' }, { headers: { ETag: '"2"' } }),
    ]
    const { fetch, sent } = recorder(async () => answers.shift() ?? assert.fail('It was decided.'))
    const client = createPicaspotClient({ baseUrl, fetch })
    const seen: string[] = []
    const onChange = ({ status }: { status: string }) => seen.push(status)
    const decided = await waitForAttempt(client, '1', { onChange, source: pollAttempt({ baseDelay: 1 }) })
    assert.equal(decided.status, 'needs_review')
    assert.deepEqual(seen, ['pending', 'needs_review'])
    assert.deepEqual(
      sent.map(({ headers }) => headers.get('If-None-Match')),
      [null, '"1"', '"1"'],
    )
  })

  test('can be ended', async () => {
    const client = createPicaspotClient({ baseUrl, fetch: async () => Response.json({ status: 'pending' }) })
    const gone = new AbortController()
    const wait = waitForAttempt(client, '1', { signal: gone.signal, onChange: () => gone.abort(new Error('Left.')) })
    await assert.rejects(wait, /Left/)
  })
})
