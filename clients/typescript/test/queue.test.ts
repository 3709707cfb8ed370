import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import 'fake-indexeddb/auto'
import {
  type Attempt,
  type AttemptQueueConfig,
  createAttemptQueue,
  createPicaspotClient,
  type Fetch,
  indexedDBQueueStorage,
  memoryQueueStorage,
  type PicaspotClient,
  PicaspotError,
  PicaspotNetworkError,
  type QueuedAttempt,
  QueueFullError,
  type QueueStorage,
} from '@picaspot/client'
import { folderQueueStorage } from '@picaspot/client/node'
import { Relay } from './relay.js'
import { as, asNewUser, baseUrl, landmarkAt, password, photoAt, recorder, somewhere } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'picaspot-queue-'))
after(() => rmSync(root, { recursive: true, force: true }))
const newFolder = () => join(root, randomUUID())

const quick = { baseDelay: 5, maxDelay: 20 }

/** A place with a landmark and a photo of it. */
async function scene() {
  const at = somewhere()
  const [landmark, photo] = await Promise.all([landmarkAt(await as('admin'), at), photoAt(at)])
  return { landmark, upload: { photo, ...at, accuracy_meters: 8 } }
}

async function userId(client: PicaspotClient): Promise<string> {
  return (await client.getMe()).data.id
}

async function attemptsOf(client: PicaspotClient): Promise<Attempt[]> {
  return (await client.listAttempts({ query: { sort_by: 'created_at', sort_order: 'asc' } })).data.items
}

/** A client behind a network that can go away, of a user who is logged in. */
async function behind(relay: Relay, config: Partial<AttemptQueueConfig> = {}) {
  const user = await asNewUser()
  const client = createPicaspotClient({ baseUrl: relay.url })
  await client.login({ identifier: user.account.username, password })
  const storage = memoryQueueStorage()
  const id = await userId(client)
  return { client, user, storage, queue: createAttemptQueue(client, { storage, userId: id, ...quick, ...config }) }
}

/** A queue of a new user whose attempts are answered by `answer` first. */
async function answered(answer: Fetch, config: Partial<AttemptQueueConfig> = {}) {
  const { fetch, of, sent } = recorder((url, init) =>
    url.endsWith('/attempts') ? answer(url, init) : globalThis.fetch(url, init),
  )
  const user = await asNewUser({ fetch })
  const queue = createAttemptQueue(user, {
    storage: memoryQueueStorage(),
    userId: await userId(user),
    ...quick,
    ...config,
  })
  return { user, queue, of, sent: () => sent.filter(({ path }) => path.endsWith('/attempts')) }
}

async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 90_000; Date.now() < end; await pause(10)) if (await check()) return
  assert.fail('It does not happen.')
}

const storages: Record<string, () => QueueStorage> = {
  memory: memoryQueueStorage,
  IndexedDB: () => indexedDBQueueStorage(randomUUID()),
  folder: () => folderQueueStorage(newFolder()),
}

for (const [name, make] of Object.entries(storages)) {
  test(`a storage: ${name}`, async () => {
    const storage = make()
    const entry = (id: string): QueuedAttempt => ({
      id,
      userId: 'u',
      landmarkId: 'l',
      attempt: { latitude: 1, longitude: 2, captured_at: '2026-11-01T09:30:00Z' },
      queuedAt: '2026-11-01T09:30:00Z',
      photoBytes: 3,
    })
    assert.deepEqual(await storage.list(), [])
    const ids = ['c', 'a', 'b', 'e', 'd'].map((prefix) => `${prefix}-${randomUUID()}`)
    for (const id of ids) await storage.add(entry(id), new Blob([id], { type: 'image/jpeg' }))
    const listed = async () => (await storage.list()).map(({ id }) => id)
    assert.deepEqual(await listed(), ids, 'in the order in which they were added')
    const [first = '', second = ''] = ids
    assert.deepEqual((await storage.list())[0], entry(first))
    const photo = await storage.photo(first)
    assert.ok(photo instanceof Blob)
    assert.deepEqual([photo.type, await photo.text()], ['image/jpeg', first])

    const problem = { status: 409, type: '/problems/x', code: 'x', title: 'X', detail: undefined, errors: [] }
    await storage.update({ ...entry(second), problem })
    assert.equal((await storage.list())[1]?.problem?.code, 'x')
    await storage.update(entry(second))
    assert.equal((await storage.list())[1]?.problem, undefined)

    await storage.remove(second)
    await storage.update(entry(second))
    await storage.remove('nobody')
    assert.deepEqual(
      await listed(),
      ids.filter((id) => id !== second),
    )
    assert.equal(await storage.photo(second), undefined)
    const run = () => Promise.resolve(7)
    assert.equal(await (storage.exclusively?.(run, new AbortController().signal) ?? run()), 7)
  })
}

test('a folder is tidied of what a process left in the middle of a change', async () => {
  const folder = newFolder()
  const id = randomUUID()
  const storage = folderQueueStorage(folder)
  const attempt = { latitude: 1, longitude: 2, captured_at: '2026-11-01T09:30:00Z' }
  const entry = { id, userId: 'u', landmarkId: 'l', attempt, queuedAt: attempt.captured_at, photoBytes: 1 }
  await storage.add(entry, new Blob(['x']))
  writeFileSync(join(folder, `${randomUUID()}.photo`), 'without an entry')
  writeFileSync(join(folder, `${randomUUID()}.draft`), 'hal')
  const damaged = '0000000002-damaged.json'
  writeFileSync(join(folder, damaged), '{')
  assert.deepEqual(await folderQueueStorage(folder).list(), [entry])
  assert.deepEqual(readdirSync(folder).sort(), [`0000000001-${id}.json`, damaged, `${id}.photo`].sort())
})

suite('a queue of attempts', { concurrency: true }, () => {
  test('keeps what the network can’t take, and hands it in in order when it is back', async () => {
    const relay = await Relay.open()
    const waits: unknown[] = []
    const { queue, user } = await behind(relay, { onWaiting: (error) => waits.push(error) })
    const scenes = [await scene(), await scene(), await scene()]
    await relay.down()
    queue.start()
    const taken = new Date(Date.now() - 60_000).toISOString()
    const [first, ...rest] = scenes
    assert.ok(first)
    await queue.add(first.landmark, { ...first.upload, captured_at: taken })
    for (const { landmark, upload } of rest) await queue.add(landmark, upload)
    await eventually(() => waits.length > 2)
    assert.ok(waits.every((error) => error instanceof PicaspotNetworkError))
    assert.equal((await queue.list()).length, 3)
    assert.equal((await attemptsOf(user)).length, 0)

    await relay.up()
    await eventually(async () => (await queue.list()).length === 0)
    queue.stop()
    const attempts = await attemptsOf(user)
    assert.deepEqual(
      attempts.map(({ landmark_id }) => landmark_id),
      scenes.map(({ landmark }) => landmark),
    )
    assert.equal(new Date(attempts[0]?.captured_at ?? '').getTime(), new Date(taken).getTime())
    assert.deepEqual(
      [attempts[0]?.latitude, attempts[0]?.longitude, attempts[0]?.accuracy_meters],
      [first.upload.latitude, first.upload.longitude, 8],
    )
    await relay.down()
  })

  test('makes one attempt of an entry whose answer was lost', async () => {
    const relay = await Relay.open()
    const submitted: string[] = []
    const { queue, user } = await behind(relay, {
      onSubmitted: ({ id }) => {
        submitted.push(id)
      },
    })
    const { landmark, upload } = await scene()
    await queue.add(landmark, upload)
    relay.loses = 2
    const lost = await queue.flush()
    assert.ok(lost.error instanceof PicaspotNetworkError)
    assert.deepEqual([lost.submitted.length, lost.waiting], [0, 1])
    await queue.flush()
    const found = await queue.flush()
    assert.deepEqual([found.waiting, found.error], [0, undefined])
    const attempts = await attemptsOf(user)
    assert.deepEqual(submitted, [attempts[0]?.id])
    assert.equal(attempts.length, 1)
    await relay.down()
  })

  test('survives a process that is killed, and one that ends before it noted the answer', async () => {
    const user = await asNewUser()
    const id = await userId(user)
    const { landmark, upload } = await scene()
    const folder = newFolder()
    const script = `
      import { createAttemptQueue, createPicaspotClient } from '@picaspot/client'
      import { folderQueueStorage } from '@picaspot/client/node'
      const [baseUrl, folder, userId, landmark, latitude, longitude, photo] = process.argv.slice(1)
      const queue = createAttemptQueue(createPicaspotClient({ baseUrl }), { storage: folderQueueStorage(folder), userId })
      const bytes = Buffer.from(photo, 'base64')
      await queue.add(landmark, { photo: new Blob([bytes], { type: 'image/jpeg' }), latitude: +latitude, longitude: +longitude })
      process.kill(process.pid, 'SIGKILL')`
    const photo = Buffer.from(await upload.photo.arrayBuffer()).toString('base64')
    const args = [baseUrl, folder, id, landmark, String(upload.latitude), String(upload.longitude), photo]
    const cwd = fileURLToPath(new URL('../..', import.meta.url))
    const killed = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, '--', ...args], { cwd })
    await assert.rejects(killed, ({ signal }) => signal === 'SIGKILL')

    const config = { storage: folderQueueStorage(folder), userId: id, ...quick }
    let first: Attempt | undefined
    const dying = createAttemptQueue(user, {
      ...config,
      onSubmitted: (attempt) => {
        first = attempt
        throw new Error('The process ends here.')
      },
    })
    assert.match(String((await dying.flush()).error), /ends here/)
    const { submitted } = await createAttemptQueue(user, { ...config, storage: folderQueueStorage(folder) }).flush()
    assert.deepEqual(
      submitted.map((attempt) => attempt.id),
      [first?.id],
    )
    assert.equal((await attemptsOf(user)).length, 1)
    assert.deepEqual(readdirSync(folder), [])
  })

  test('puts what the server refuses aside, with its problem', async () => {
    const refusals: QueuedAttempt[] = []
    const { queue, user } = await answered((url, init) => fetch(url, init), {
      onRefused: (entry) => {
        refusals.push(entry)
      },
    })
    const { landmark, upload } = await scene()
    const gone = await queue.add(randomUUID(), upload)
    await queue.add(landmark, upload)
    const { submitted, waiting, error } = await queue.flush()
    assert.deepEqual([submitted.length, waiting, error], [1, 0, undefined])
    const [refused] = await queue.list()
    assert.deepEqual([refused?.id, refused?.problem?.status, refused?.problem?.code], [gone.id, 404, 'not_found'])
    assert.deepEqual(refusals, [refused])
    await queue.flush()
    assert.equal(refusals.length, 1, 'it is not sent again')
    await queue.retry(gone.id)
    assert.equal((await queue.list())[0]?.problem, undefined)
    await queue.flush()
    assert.equal(refusals.length, 2)
    await queue.remove(gone.id)
    assert.deepEqual(await queue.list(), [])
    assert.equal((await attemptsOf(user)).length, 1)
  })

  test('waits as long as the server says', async () => {
    let busy = 1
    const { queue, sent } = await answered((url, init) =>
      busy-- > 0
        ? Promise.resolve(new Response(null, { status: 429, headers: { 'Retry-After': '1' } }))
        : fetch(url, init),
    )
    const { landmark, upload } = await scene()
    queue.start()
    const begin = Date.now()
    await queue.add(landmark, upload)
    await eventually(() => sent().length === 1)
    const early = await queue.flush()
    assert.ok(early.error instanceof PicaspotError && early.error.retryAfter === 1)
    assert.equal(sent().length, 1, 'it is not sent before')
    await eventually(async () => (await queue.list()).length === 0)
    assert.ok(Date.now() - begin >= 990)
    queue.stop()
  })

  test('is not held up by one that the server fails at, and keeps that one', async () => {
    const [bad, good] = [await scene(), await scene()]
    let failing = true
    const { queue, user, sent } = await answered((url, init) =>
      failing && url.includes(bad.landmark) ? Promise.resolve(new Response(null, { status: 500 })) : fetch(url, init),
    )
    const first = await queue.add(bad.landmark, bad.upload)
    await queue.add(bad.landmark, bad.upload)
    await queue.add(good.landmark, good.upload)
    const { submitted, waiting, error } = await queue.flush()
    assert.deepEqual([submitted.map(({ landmark_id }) => landmark_id), waiting], [[good.landmark], 2])
    assert.ok(error instanceof PicaspotError && error.status === 500)
    failing = false
    queue.start()
    await eventually(async () => !(await queue.list()).some(({ problem }) => !problem))
    queue.stop()
    const keys = sent()
      .filter(({ path }) => path.includes(bad.landmark))
      .map(({ headers }) => headers.get('Idempotency-Key'))
    assert.ok(keys.length >= 3 && keys.slice(0, -1).every((key) => key === first.id), 'the order is kept')
    assert.equal((await attemptsOf(user)).at(-1)?.landmark_id, bad.landmark)
  })

  test('takes the page of a hotel’s network for no answer', async () => {
    let pages = ['<h1>Welcome</h1>', '<h1>Not found</h1>']
    const { queue } = await answered((url, init) => {
      const [page, ...others] = pages
      pages = others
      const html = { 'Content-Type': 'text/html' }
      return page
        ? Promise.resolve(new Response(page, { status: others.length > 0 ? 200 : 404, headers: html }))
        : fetch(url, init)
    })
    const { landmark, upload } = await scene()
    await queue.add(landmark, upload)
    queue.start()
    await eventually(async () => (await queue.list()).length === 0)
    queue.stop()
  })

  test('waits for a login, and for the right account', async () => {
    const user = await asNewUser()
    const id = await userId(user)
    const client = createPicaspotClient({ baseUrl })
    const storage = memoryQueueStorage()
    const queue = createAttemptQueue(client, { storage, userId: id, ...quick })
    const { landmark, upload } = await scene()
    await queue.add(landmark, upload)
    const out = await queue.flush()
    assert.ok(out.error instanceof PicaspotError && out.error.status === 401)
    const other = await asNewUser()
    await client.login({ identifier: other.account.username, password })
    assert.match(String((await queue.flush()).error), /Another account/)
    const others = createAttemptQueue(client, { storage, userId: await userId(other), ...quick })
    assert.deepEqual(await others.list(), [])
    assert.equal((await others.flush()).submitted.length, 0)
    await client.login({ identifier: user.account.username, password })
    assert.equal((await queue.flush()).submitted.length, 1)
    assert.equal((await attemptsOf(other)).length, 0)
  })

  test('renews a token that expired meanwhile', async () => {
    const user = await asNewUser()
    let tokens = { accessToken: '', expiresAt: 0, refreshToken: '' }
    const tokenStore = {
      load: () => tokens,
      save: (kept: unknown) => {
        tokens = kept as typeof tokens
      },
    }
    const client = createPicaspotClient({ baseUrl, tokenStore })
    await client.login({ identifier: user.account.username, password })
    const later = { ...tokens, expiresAt: Date.now() - 1 }
    const returning = createPicaspotClient({ baseUrl, tokenStore: { load: () => later, save: () => {} } })
    const queue = createAttemptQueue(returning, { storage: memoryQueueStorage(), userId: await userId(user) })
    const { landmark, upload } = await scene()
    await queue.add(landmark, upload)
    assert.equal((await queue.flush()).submitted.length, 1)
  })

  test('two at once make one attempt of each entry', async () => {
    for (const make of [memoryQueueStorage, () => indexedDBQueueStorage(randomUUID())]) {
      const user = await asNewUser()
      const config = { storage: make(), userId: await userId(user), ...quick }
      const tabs = [createAttemptQueue(user, config), createAttemptQueue(user, config)]
      for (let i = 0; i < 3; i++) {
        const { landmark, upload } = await scene()
        await tabs[0]?.add(landmark, upload)
      }
      for (const tab of tabs) tab.start()
      await eventually(async () => (await tabs[0]?.list())?.length === 0).finally(() => {
        for (const tab of tabs) tab.stop()
      })
      assert.equal((await attemptsOf(user)).length, 3)
    }
  })

  test('has room for so much', async () => {
    const { queue } = await answered((url, init) => fetch(url, init), { maxEntries: 2, maxBytes: 10 })
    const at = somewhere()
    await assert.rejects(queue.add('1', { ...at, photo: new Blob(['more than ten']) }), QueueFullError)
    await queue.add('1', { ...at, photo: new Blob(['x']) })
    await queue.add('1', { ...at, photo: new Blob(['x']) })
    await assert.rejects(queue.add('1', { ...at, photo: new Blob(['x']) }), QueueFullError)
  })

  test('says so when the storage lost a photo, and stops in the middle of an upload', async () => {
    const lossy: QueueStorage = { ...memoryQueueStorage(), photo: async () => undefined }
    const { queue } = await answered((url, init) => fetch(url, init), { storage: lossy })
    await queue.add(randomUUID(), { ...somewhere(), photo: new Blob(['x']) })
    await queue.flush()
    assert.deepEqual(
      (await queue.list()).map(({ problem }) => [problem?.status, problem?.title]),
      [[0, 'Photo Gone']],
    )

    let begun = false
    const stuck = await answered((_, { signal }) => {
      begun = true
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    })
    stuck.queue.start()
    await stuck.queue.add(randomUUID(), { ...somewhere(), photo: new Blob(['x']) })
    await eventually(() => begun)
    stuck.queue.stop()
    await pause(20)
    assert.equal((await stuck.queue.list()).length, 1)
  })
})
