import { abortReason, orAborted, pause } from './abort.js'
import type { NativeFile } from './body.js'
import type { PicaspotClient } from './client.js'
import { PicaspotError, PicaspotNetworkError } from './errors.js'
import { getIfChanged } from './etag.js'
import { EventParser } from './events.js'
import type { Attempt, AttemptCreate } from './generated/schema.js'
import type { Progress } from './transport.js'
import type { CallOptions, UntypedCall } from './types.js'

/** A photo, and where it was taken as the device says. */
export type AttemptUpload = Omit<AttemptCreate, 'photo'> & { photo: Blob | NativeFile }

/**
 * Hands in a photo at a landmark. The attempt that it answers with is stored but
 * not decided; `waitForAttempt` tells what becomes of it. The name of the file
 * is not sent.
 */
export async function uploadAttempt(
  client: PicaspotClient,
  landmarkId: string,
  attempt: AttemptUpload,
  options: CallOptions & { onProgress?: (progress: Progress) => void } = {},
): Promise<Attempt> {
  const { data } = await client.POST('/api/v1/landmarks/{landmark_id}/attempts', {
    ...options,
    params: { path: { landmark_id: landmarkId } },
    body: attempt,
  })
  return data
}

/** Follows an attempt: yields it as it is, and again each time that it changed, for as long as it is read. */
export type AttemptSource = (
  client: PicaspotClient,
  attemptId: string,
  options: { signal?: AbortSignal | undefined },
) => AsyncIterable<Attempt>

export interface PollOptions {
  /** The first pause in milliseconds, half as long again each time; 400 by default. */
  baseDelay?: number
  /** The longest pause in milliseconds; 10,000 by default. */
  maxDelay?: number
  /** After how many failures in a row to give up; 5 by default. */
  failures?: number
}

/** Follows an attempt by asking for it again and again; what did not change is not sent again. */
export function pollAttempt(options: PollOptions = {}): AttemptSource {
  return (client, attemptId, { signal }) => poll(client, attemptId, signal, options, undefined)
}

/** Polls from the version that is known already. */
async function* poll(
  client: PicaspotClient,
  attemptId: string,
  signal: AbortSignal | undefined,
  { baseDelay = 400, maxDelay = 10_000, failures = 5 }: PollOptions,
  known: string | undefined,
): AsyncGenerator<Attempt, void, undefined> {
  let etag = known
  let failed = 0
  for (let delay = baseDelay; ; delay = Math.min(delay * 1.5, maxDelay)) {
    try {
      const params = { path: { attempt_id: attemptId } }
      const answer = await getIfChanged(client, '/api/v1/attempts/{attempt_id}', { params, etag, signal })
      failed = 0
      etag = answer.etag
      if (answer.changed) yield answer.data
    } catch (error) {
      // A phone that is on its way loses the network now and then.
      if (!mayPass(error) || ++failed >= failures) throw error
    }
    await pause(delay, signal)
  }
}

export interface StreamOptions {
  /** After how many failures in a row to give up; 5 by default. */
  failures?: number
  /** How to ask instead where there are no streams. */
  polling?: PollOptions
}

/** How long to wait for the beginning of a stream, and for the next sign of life, in milliseconds. */
const patience = { begin: 10_000, goOn: 45_000 }

/**
 * Follows an attempt by the server's events, which tell of a change at once. A stream
 * that breaks off is taken up where it stopped. Where there is none, as in React
 * Native or behind a proxy that holds it back, the attempt is polled.
 */
export function streamAttempt({ failures = 5, polling = {} }: StreamOptions = {}): AttemptSource {
  return async function* (client, attemptId, { signal }) {
    const progress: Progressed = { id: '', retry: 1000 }
    if (hasStreams()) {
      for (let failed = 0; ; ) {
        try {
          for await (const attempt of connect(client, attemptId, signal, progress)) {
            failed = 0
            yield attempt
            if (attempt.status !== 'pending') return
          }
        } catch (error) {
          if (error instanceof NoStream || isAnotherAnswer(error)) break
          if (!(error instanceof PicaspotNetworkError) || ++failed >= failures) throw error
        }
        await pause(progress.retry * (0.5 + Math.random()), signal)
      }
    }
    yield* poll(client, attemptId, signal, polling, progress.id ? `"${progress.id}"` : undefined)
  }
}

/** How far an attempt was followed. */
interface Progressed {
  /** The id of the last event. */
  id: string
  /** How long to wait before the next connection, in milliseconds. */
  retry: number
}

/** There is no stream to be had. */
class NoStream extends Error {}

/** Whether a refusal is none to one who asks for the attempt itself: of an older server, of one that has no room. */
function isAnotherAnswer(error: unknown): boolean {
  return error instanceof PicaspotError && error.status !== 401 && error.status !== 403
}

/** One connection: what it tells, until it ends. */
async function* connect(
  client: PicaspotClient,
  attemptId: string,
  signal: AbortSignal | undefined,
  progress: Progressed,
): AsyncGenerator<Attempt, void, undefined> {
  const connection = new AbortController()
  const leave = () => connection.abort(abortReason(signal as AbortSignal))
  let hasBegun = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const expect = (within: number) => {
    clearTimeout(timer)
    // Silence from the start is that of a proxy which waits for the end.
    const silence = () => connection.abort(hasBegun ? new PicaspotNetworkError(undefined) : new NoStream())
    timer = setTimeout(silence, within)
  }
  if (signal?.aborted) leave()
  signal?.addEventListener('abort', leave)
  expect(patience.begin)
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  try {
    const { data, response } = await (client.GET as unknown as UntypedCall)('/api/v1/attempts/{attempt_id}/events', {
      params: { path: { attempt_id: attemptId }, header: progress.id ? { 'Last-Event-ID': progress.id } : {} },
      signal: connection.signal,
      retry: false,
      stream: true,
    })
    reader = (data as ReadableStream<Uint8Array> | null | undefined)?.getReader?.()
    if (!reader || !response.headers.get('Content-Type')?.startsWith('text/event-stream')) throw new NoStream()
    const parser = new EventParser()
    for (;;) {
      const { done, value } = await orAborted(reader.read(), connection.signal).catch((cause: unknown) => {
        throw connection.signal.aborted ? cause : new PicaspotNetworkError(cause)
      })
      if (done) return
      hasBegun = true
      expect(patience.goOn)
      for (const { event, id, data } of parser.push(value)) {
        if (event !== 'attempt') continue
        progress.id = id
        yield JSON.parse(data) as Attempt
      }
      progress.retry = parser.retry ?? progress.retry
    }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', leave)
    // It may have ended by itself, or been aborted.
    await reader?.cancel().catch(() => {})
    connection.abort()
  }
}

/** Whether fetch hands out what came before all of it is there; that of React Native does not. */
function hasStreams(): boolean {
  return typeof Response !== 'undefined' && 'body' in Response.prototype && typeof TextDecoder !== 'undefined'
}

export interface WatchOptions {
  /** Ends the wait, not the attempt. */
  signal?: AbortSignal | undefined
  /** How the attempt is followed; `streamAttempt()` by default. */
  source?: AttemptSource
}

/**
 * An attempt as it is, and again each time that it changed, until it is decided, or is
 * to be decided by a moderator: until it is no longer `pending`.
 */
export async function* watchAttempt(
  client: PicaspotClient,
  attemptId: string,
  { signal, source = streamAttempt() }: WatchOptions = {},
): AsyncGenerator<Attempt, void, undefined> {
  for await (const attempt of source(client, attemptId, { signal })) {
    yield attempt
    if (attempt.status !== 'pending') return
  }
  throw new Error('The source of the attempt ended before the attempt was decided.')
}

export interface WaitOptions extends WatchOptions {
  /** Is told the attempt as it is, and each time that it changed. */
  onChange?: (attempt: Attempt) => void
}

/** Waits for the end of `watchAttempt`, and answers with the last that it told. */
export async function waitForAttempt(
  client: PicaspotClient,
  attemptId: string,
  { onChange, ...options }: WaitOptions = {},
): Promise<Attempt> {
  let last: Attempt | undefined
  for await (const attempt of watchAttempt(client, attemptId, options)) {
    onChange?.(attempt)
    last = attempt
  }
  return last as Attempt
}

function mayPass(error: unknown): boolean {
  if (error instanceof PicaspotNetworkError) return true
  return error instanceof PicaspotError && (error.status === 429 || error.status >= 500)
}
