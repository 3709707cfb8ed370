import { type AttemptUpload, uploadAttempt } from '../attempts.js'
import type { PicaspotClient } from '../client.js'
import { PicaspotError, PicaspotNetworkError } from '../errors.js'
import type { Attempt } from '../generated/schema.js'
import { randomKey } from '../key.js'
import type { Progress } from '../transport.js'
import { Backoff } from './backoff.js'
import type { QueuedAttempt, QueuedProblem, QueueStorage } from './storage.js'

export interface AttemptQueueConfig {
  /** Where the attempts are kept. */
  storage: QueueStorage
  /** The id of the account whose attempts these are. Those of others stay until that account is back. */
  userId: string
  /**
   * Is told the attempt that the server made of an entry, and waited for before the entry is removed. When the page ends
   * between the two, it is told again, with the same attempt.
   */
  onSubmitted?: (attempt: Attempt, entry: QueuedAttempt) => unknown
  /** Is told an entry that the server refused for good, with its `problem`. It stays until `retry` or `remove`. */
  onRefused?: (entry: QueuedAttempt) => unknown
  /** Is told why attempts have to wait: the network is away, the session has ended, the server has no time. */
  onWaiting?: (error: unknown) => unknown
  /** Is told how much of a photo was sent. */
  onProgress?: (progress: Progress, entry: QueuedAttempt) => unknown
  /** How many entries there may be; 200 by default. */
  maxEntries?: number
  /** How many bytes of photos there may be; 500,000,000 by default. */
  maxBytes?: number
  /** The pause after a failure in milliseconds, doubled at each further one; 1000 by default. */
  baseDelay?: number
  /** The longest pause in milliseconds, if the server does not ask for a longer one; 300,000 by default. */
  maxDelay?: number
}

/** What a run through the queue came to. */
export interface FlushResult {
  /** What was handed in. */
  submitted: Attempt[]
  /** How many entries still wait. */
  waiting: number
  /** Why they wait. */
  error: unknown
}

/** Attempts that are kept until they can be handed in. */
export interface AttemptQueue {
  /**
   * Keeps an attempt; once it resolves, the attempt survives the end of the page. `captured_at` is the
   * present unless it is given. It throws a `QueueFullError` where there is no room.
   */
  add(landmarkId: string, attempt: AttemptUpload): Promise<QueuedAttempt>
  /** The entries of the account, in the order in which they were added; refused ones have a `problem`. */
  list(): Promise<QueuedAttempt[]>
  /** Hands in what waits, in order, until there is nothing left or it has to wait. It throws only if the storage fails. */
  flush(): Promise<FlushResult>
  /** Hands in what waits, now and whenever it may work again, until `stop`. */
  start(): void
  /** Ends that, and what is being sent; nothing is lost. */
  stop(): void
  /** Lets a refused entry wait again, as after the app was updated. */
  retry(id: string): Promise<void>
  /** Gives an entry up, and its photo. */
  remove(id: string): Promise<void>
}

/** The queue has no room for another attempt. */
export class QueueFullError extends Error {
  override readonly name = 'QueueFullError'
}

/** Makes a queue of attempts of one account. Queues that share a storage share their entries. */
export function createAttemptQueue(client: PicaspotClient, config: AttemptQueueConfig): AttemptQueue {
  return new Queue(client, config)
}

class Queue implements AttemptQueue {
  readonly #client: PicaspotClient
  readonly #config: AttemptQueueConfig
  /** Of all: the network, the session, a server that has no time. */
  readonly #pause: Backoff
  /** Of single entries, which the server fails at. */
  readonly #held = new Map<string, Backoff>()
  #running: Promise<FlushResult> | undefined
  #again = false
  /** While it is started. */
  #life: AbortController | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(client: PicaspotClient, config: AttemptQueueConfig) {
    this.#client = client
    this.#config = config
    this.#pause = new Backoff(config)
  }

  async add(landmarkId: string, { photo, ...attempt }: AttemptUpload): Promise<QueuedAttempt> {
    const { storage, userId, maxEntries = 200, maxBytes = 500_000_000 } = this.#config
    const now = new Date().toISOString()
    const photoBytes = 'size' in photo ? photo.size : 0
    const all = await storage.list()
    const bytes = all.reduce((sum, entry) => sum + entry.photoBytes, photoBytes)
    if (all.length >= maxEntries || bytes > maxBytes) throw new QueueFullError('The queue of attempts is full.')
    const captured_at = attempt.captured_at ?? now
    const entry = {
      id: randomKey(),
      userId,
      landmarkId,
      attempt: { ...attempt, captured_at },
      queuedAt: now,
      photoBytes,
    }
    await storage.add(entry, photo)
    this.#wake()
    return entry
  }

  async list(): Promise<QueuedAttempt[]> {
    return (await this.#config.storage.list()).filter(({ userId }) => userId === this.#config.userId)
  }

  async retry(id: string): Promise<void> {
    const entry = (await this.list()).find((queued) => queued.id === id)
    if (!entry) return
    const { problem: _, ...waiting } = entry
    await this.#config.storage.update(waiting)
    this.#held.delete(id)
    this.#wake()
  }

  async remove(id: string): Promise<void> {
    await this.#config.storage.remove(id)
    this.#held.delete(id)
  }

  start(): void {
    if (this.#life) return
    this.#life = new AbortController()
    globalThis.addEventListener?.('online', this.#wake)
    // A phone wakes pages up without telling them that the network is back.
    globalThis.document?.addEventListener('visibilitychange', this.#wake)
    this.#wake()
  }

  stop(): void {
    this.#life?.abort()
    this.#life = undefined
    clearTimeout(this.#timer)
    globalThis.removeEventListener?.('online', this.#wake)
    globalThis.document?.removeEventListener('visibilitychange', this.#wake)
  }

  readonly #wake = () => {
    if (this.#life) this.flush().catch(() => {})
  }

  flush(): Promise<FlushResult> {
    if (this.#running !== undefined) this.#again = true
    this.#running ??= this.#flush()
    return this.#running
  }

  async #flush(): Promise<FlushResult> {
    const submitted: Attempt[] = []
    let error: unknown
    let goesOn: boolean
    do {
      this.#again = false
      const { signal } = this.#life ?? new AbortController()
      const run = () => this.#run(submitted, signal)
      try {
        await (this.#config.storage.exclusively?.(run, signal) ?? run())
        error = undefined
      } catch (cause) {
        error = cause
      }
      goesOn = this.#again && (error === undefined || signal.aborted)
    } while (goesOn)
    try {
      const waiting = (await this.list()).filter(({ problem }) => !problem).length
      return { submitted, waiting, error }
    } catch (cause) {
      error ??= cause
      throw cause
    } finally {
      this.#running = undefined
      this.#schedule()
      if (error !== undefined) this.#config.onWaiting?.(error)
    }
  }

  /** Plans the next run, also for what another tab may leave behind. */
  #schedule(): void {
    if (!this.#life) return
    const { maxDelay = 300_000 } = this.#config
    const pauses = [this.#pause, ...this.#held.values()].map((backoff) => backoff.left())
    const next = this.#again ? 0 : Math.min(...pauses.filter((left) => left > 0), maxDelay)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#wake, next)
  }

  /** Hands in entry after entry; throws what makes all of them wait. */
  async #run(submitted: Attempt[], signal: AbortSignal): Promise<void> {
    if (this.#pause.isOrdered()) throw this.#pause.error
    let next = await this.#next()
    if (!next) return
    let heldBy: unknown
    try {
      await this.#checkAccount(signal)
      for (; next; next = await this.#next()) {
        const outcome = await this.#handIn(next, signal)
        if ('attempt' in outcome) submitted.push(outcome.attempt)
        else heldBy = outcome.heldBy ?? heldBy
      }
      this.#pause.succeed()
    } catch (error) {
      if (!signal.aborted) this.#pause.fail(error)
      throw error
    }
    if (heldBy !== undefined) throw heldBy
  }

  /** The first entry that is to be tried; those at a landmark stay behind each other. */
  async #next(): Promise<QueuedAttempt | undefined> {
    const held = new Set<string>()
    for (const entry of await this.list()) {
      if (entry.problem || held.has(entry.landmarkId)) continue
      if (!((this.#held.get(entry.id)?.left() ?? 0) > 0)) return entry
      held.add(entry.landmarkId)
    }
    return undefined
  }

  /** An account hands in only the photos that were queued under it. The request also tells whether the network is there. */
  async #checkAccount(signal: AbortSignal): Promise<void> {
    const { data: me } = await this.#client.getMe({ retry: false, signal })
    if (me.id !== this.#config.userId) throw new Error('Another account is logged in.')
  }

  /** Answers with the attempt, or with why the entry has to wait for itself; throws what makes all of them wait. */
  async #handIn(entry: QueuedAttempt, signal: AbortSignal): Promise<{ attempt: Attempt } | { heldBy: unknown }> {
    const { storage, onSubmitted } = this.#config
    const photo = await storage.photo(entry.id)
    if (!photo) {
      // Another tab handed it in, or the app removed it: then this updates nothing.
      await this.#refuse(entry, photoGone)
      return { heldBy: undefined }
    }
    let attempt: Attempt
    try {
      attempt = await this.#upload(entry, photo, signal)
    } catch (error) {
      if (error instanceof PicaspotError && isFinal(error)) {
        await this.#refuse(entry, error)
        return { heldBy: undefined }
      }
      if (signal.aborted || concernsAll(error)) throw error
      return this.#hold(entry, error)
    }
    try {
      await onSubmitted?.(attempt, entry)
    } catch (error) {
      return this.#hold(entry, error)
    }
    await this.remove(entry.id)
    return { attempt }
  }

  #upload(entry: QueuedAttempt, photo: AttemptUpload['photo'], signal: AbortSignal): Promise<Attempt> {
    const { onProgress } = this.#config
    const upload = { ...entry.attempt, photo }
    return uploadAttempt(this.#client, entry.landmarkId, upload, {
      headers: { 'Idempotency-Key': entry.id },
      retry: false,
      signal,
      ...(onProgress && { onProgress: (progress: Progress) => onProgress(progress, entry) }),
    })
  }

  async #refuse(entry: QueuedAttempt, reason: QueuedProblem): Promise<void> {
    const { status, type, code, title, detail, errors } = reason
    const refused = { ...entry, problem: { status, type, code, title, detail, errors } }
    if (!(await this.list()).some(({ id }) => id === entry.id)) return
    await this.#config.storage.update(refused)
    await this.#config.onRefused?.(refused)
  }

  #hold(entry: QueuedAttempt, error: unknown): { heldBy: unknown } {
    const backoff = this.#held.get(entry.id) ?? new Backoff(this.#config)
    this.#held.set(entry.id, backoff)
    backoff.fail(error)
    return { heldBy: error }
  }
}

/** Why an entry can't be sent whose photo the storage lost. */
const photoGone: QueuedProblem = {
  status: 0,
  type: 'about:blank',
  code: undefined,
  title: 'Photo Gone',
  detail: 'The photo is no longer there.',
  errors: [],
}

/** Whether the server will not say anything else to the same attempt. What comes without a code is not the server's. */
function isFinal({ status, code }: PicaspotError): boolean {
  if (status === 413) return true
  if (status < 400 || status >= 500 || code === undefined) return false
  return ![401, 408, 425, 429].includes(status) && code !== 'idempotency_key_in_use'
}

/** Whether a failure would meet any other entry too: an answer of a hotel's network is one. */
function concernsAll(error: unknown): boolean {
  if (!(error instanceof PicaspotError)) return error instanceof PicaspotNetworkError
  return error.status < 400 || [401, 408, 425, 429, 502, 503, 504].includes(error.status)
}
