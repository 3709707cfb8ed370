import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import {
  createPicaspotClient,
  memoryStore,
  type PicaspotClient,
  PicaspotNetworkError,
  pollAttempt,
  streamAttempt,
  uploadAttempt,
  waitForAttempt,
  watchAttempt,
} from '@picaspot/client'
import { as, asNewUser, baseUrl, landmarkAt, photoAt, recorder, refusal, somewhere } from './support.js'

const events = '/api/v1/attempts/1/events'

/** An attempt at a landmark that was not attempted before. */
async function attempted(client: PicaspotClient): Promise<string> {
  const at = somewhere()
  const landmark = await landmarkAt(await as('admin'), at)
  return (await uploadAttempt(client, landmark, { photo: await photoAt(at), ...at })).id
}

/** An answer that is a stream of these pieces; `cut` breaks it off. */
function stream(pieces: string[], { cut = false } = {}): Response {
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (const piece of pieces) {
        controller.enqueue(new TextEncoder().encode(piece))
        await pause(1)
      }
      if (cut) controller.error(new TypeError('terminated'))
      else controller.close()
    },
  })
  return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } })
}

function event(id: string, status: string): string {
  return `event: attempt\nid: ${id}\ndata: {"status":"${status}"}\n\n`
}

function answering(...answers: Response[]) {
  return recorder(async () => answers.shift() ?? assert.fail('There was one request more than expected.'))
}

async function statuses(client: PicaspotClient, options?: Parameters<typeof watchAttempt>[2]): Promise<string[]> {
  const seen: string[] = []
  for await (const { status } of watchAttempt(client, '1', options)) seen.push(status)
  return seen
}

suite('following an attempt', { concurrency: true }, () => {
  test('is told by the server', async () => {
    const { fetch, of } = recorder()
    const user = await asNewUser({ fetch })
    const id = await attempted(user)
    const seen: string[] = []
    for await (const attempt of watchAttempt(user, id)) {
      assert.equal(attempt.id, id)
      seen.push(attempt.status)
    }
    assert.equal(seen.at(-1), 'succeeded')
    assert.equal(new Set(seen).size, seen.length, 'each change is told once')
    assert.equal(of(`/api/v1/attempts/${id}/events`).length, 1)
    assert.equal(of(`/api/v1/attempts/${id}`).length, 0)
    // What is decided already is told as well.
    assert.equal((await waitForAttempt(user, id)).status, 'succeeded')
  })

  test('renews a token that the server refuses', async () => {
    const tokens = memoryStore()
    const user = await asNewUser({ tokenStore: tokens })
    const id = await attempted(user)
    const { refreshToken } = (await tokens.load()) ?? assert.fail('There is no session.')
    await tokens.save({ accessToken: 'spent', expiresAt: Date.now() + 60_000, refreshToken: refreshToken ?? '' })
    const { fetch, of } = recorder()
    const returning = createPicaspotClient({ baseUrl, tokenStore: tokens, fetch })
    assert.equal((await waitForAttempt(returning, id)).status, 'succeeded')
    assert.equal(of('/api/v1/auth/refresh').length, 1)
    assert.equal(of(`/api/v1/attempts/${id}/events`).length, 2)
  })

  test('goes on where a stream broke off', async () => {
    const { fetch, sent } = answering(
      stream(['retry: 1\n\n', event('a', 'pending'), 'event: attempt\nid: b\nda'], { cut: true }),
      stream(['retry: 1\n\n', ':\n\n']),
      stream([event('b', 'succeeded')]),
    )
    const client = createPicaspotClient({ baseUrl, fetch })
    assert.deepEqual(await statuses(client), ['pending', 'succeeded'])
    assert.deepEqual(
      sent.map(({ path, headers }) => [path, headers.get('Last-Event-ID')]),
      [
        [events, null],
        [events, 'a'],
        [events, 'a'],
      ],
    )
  })

  test('reads events however they are cut up', async () => {
    const text = `: hello\r\nretry: 1\r\n\r\nevent: other\ndata: x\n\n${event('a', 'pending')}id:b\rdata: {"status":\rdata:"failed"}\revent: attempt\r\rdata`
    for (const size of [1, 2, 3, 7, 1000]) {
      const { fetch } = answering(stream(text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []))
      assert.deepEqual(
        await statuses(createPicaspotClient({ baseUrl, fetch })),
        ['pending', 'failed'],
        `${size} at once`,
      )
    }
  })

  for (const [name, refused] of [
    ['a server has no streams', Response.json({ type: '/problems/not_found' }, { status: 404 })],
    ['a server has no room', new Response(null, { status: 503, headers: { 'Retry-After': '60' } })],
    ['the answer is no stream', Response.json({ status: 'pending' })],
  ] as const) {
    test(`polls where ${name}`, async () => {
      const { fetch, sent } = answering(refused, Response.json({ status: 'failed' }, { headers: { ETag: '"1"' } }))
      assert.deepEqual(await statuses(createPicaspotClient({ baseUrl, fetch })), ['failed'])
      assert.deepEqual(
        sent.map(({ path }) => path),
        [events, '/api/v1/attempts/1'],
      )
    })
  }

  test('polls for what is new only', async () => {
    const { fetch, sent } = answering(
      stream(['retry: 1\n\n', event('a', 'pending')]),
      new Response(null, { status: 503 }),
      new Response(null, { status: 304, headers: { ETag: '"a"' } }),
      Response.json({ status: 'failed' }, { headers: { ETag: '"b"' } }),
    )
    const source = streamAttempt({ polling: { baseDelay: 1 } })
    assert.deepEqual(await statuses(createPicaspotClient({ baseUrl, fetch }), { source }), ['pending', 'failed'])
    assert.deepEqual(
      sent.map(({ headers }) => headers.get('If-None-Match')),
      [null, null, '"a"', '"a"'],
    )
  })

  test('gives up on a network that is gone', async () => {
    const { fetch, of } = recorder(async () => {
      throw new TypeError('fetch failed')
    })
    const client = createPicaspotClient({ baseUrl, fetch, retry: false })
    await assert.rejects(waitForAttempt(client, '1', { source: streamAttempt({ failures: 2 }) }), PicaspotNetworkError)
    assert.equal(of(events).length, 2)
  })

  test('ends with its session, and when it is left', async () => {
    const { fetch, of } = answering(Response.json({ type: '/problems/session_ended' }, { status: 401 }))
    const ended = await refusal(waitForAttempt(createPicaspotClient({ baseUrl, fetch }), '1'))
    assert.equal(ended.code, 'session_ended')
    assert.equal(of(events).length, 1)

    const gone = new AbortController()
    let cancelled = false
    const silent = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode(event('a', 'pending'))),
      cancel: () => {
        cancelled = true
      },
    })
    const waiting = createPicaspotClient({
      baseUrl,
      fetch: async () => new Response(silent, { headers: { 'Content-Type': 'text/event-stream' } }),
    })
    const wait = waitForAttempt(waiting, '1', { signal: gone.signal, onChange: () => gone.abort(new Error('Left.')) })
    await assert.rejects(wait, /Left/)
    assert.ok(cancelled)
  })

  test('can still be done by polling alone', async () => {
    const { fetch, of } = recorder()
    const user = await asNewUser({ fetch })
    const id = await attempted(user)
    const decided = await waitForAttempt(user, id, { source: pollAttempt({ baseDelay: 10 }) })
    assert.equal(decided.status, 'succeeded')
    assert.equal(of(`/api/v1/attempts/${id}/events`).length, 0)
  })
})
