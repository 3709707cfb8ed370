import { pause } from './abort.js'
import type { NativeFile } from './body.js'
import type { PicaspotClient } from './client.js'
import { PicaspotError, PicaspotNetworkError } from './errors.js'
import { getIfChanged } from './etag.js'
import type { Attempt, AttemptCreate } from './generated/schema.js'
import type { Progress } from './transport.js'
import type { CallOptions } from './types.js'

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
export function pollAttempt({ baseDelay = 400, maxDelay = 10_000, failures = 5 }: PollOptions = {}): AttemptSource {
  return async function* (client, attemptId, { signal }) {
    let etag: string | undefined
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
}

export interface WaitOptions {
  /** Ends the wait, not the attempt. */
  signal?: AbortSignal | undefined
  /** Is told the attempt as it is, and each time that it changed. */
  onChange?: (attempt: Attempt) => void
  /** How the attempt is followed; `pollAttempt()` by default. */
  source?: AttemptSource
}

/** Waits until an attempt is decided, or is to be decided by a moderator: until it is no longer `pending`. */
export async function waitForAttempt(
  client: PicaspotClient,
  attemptId: string,
  { signal, onChange, source = pollAttempt() }: WaitOptions = {},
): Promise<Attempt> {
  for await (const attempt of source(client, attemptId, { signal })) {
    onChange?.(attempt)
    if (attempt.status !== 'pending') return attempt
  }
  throw new Error('The source of the attempt ended before the attempt was decided.')
}

function mayPass(error: unknown): boolean {
  if (error instanceof PicaspotNetworkError) return true
  return error instanceof PicaspotError && (error.status === 429 || error.status >= 500)
}
