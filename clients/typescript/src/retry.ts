import type { PicaspotError } from './errors.js'
import type { Traits } from './generated/operations.js'

/** How requests that may be sent twice are sent again. */
export interface RetryOptions {
  /** How often a request is sent at most, the first time included; 3 by default. */
  attempts?: number
  /** The pause before the second try in milliseconds, doubled at each further one; 300 by default. */
  baseDelay?: number
  /**
   * The longest pause in milliseconds; 10,000 by default. A request that the
   * server wants to wait longer for fails at once, with `retryAfter`.
   */
  maxDelay?: number
}

export type RetryPolicy = Required<RetryOptions>

export const noRetry: RetryPolicy = { attempts: 1, baseDelay: 0, maxDelay: 0 }

export function retryPolicy(options: RetryOptions | false | undefined): RetryPolicy {
  return options === false ? noRetry : { attempts: 3, baseDelay: 300, maxDelay: 10_000, ...options }
}

/**
 * Whether sending a request twice does what sending it once does. A request with
 * If-Match is refused the second time, as what it changed has another ETag by
 * then, and nobody could tell that refusal from a lost update.
 */
export function isRepeatable(method: string, headers: Headers, traits: Traits): boolean {
  if (traits.idempotencyKey && headers.has('Idempotency-Key')) return true
  if (headers.has('If-Match') || traits.once) return false
  return method === 'GET' || method === 'PUT' || method === 'DELETE'
}

/**
 * Whether a refusal says that it would be another answer in a moment. A key in
 * use is the first try's own, which is still under way although its answer got lost.
 */
export function isTransient({ status, code }: PicaspotError): boolean {
  return status === 429 || status === 503 || code === 'idempotency_key_in_use'
}

/**
 * The pause before the try after this one (from 1) in milliseconds, or undefined
 * where there is to be none. Half of it is drawn, so that clients that failed
 * together don't come back together.
 */
export function delayBefore(policy: RetryPolicy, attempt: number, retryAfter?: number): number | undefined {
  if (attempt >= policy.attempts) return undefined
  if (retryAfter !== undefined && retryAfter * 1000 > policy.maxDelay) return undefined
  const delay = Math.min(policy.baseDelay * 2 ** (attempt - 1), policy.maxDelay)
  return Math.max((retryAfter ?? 0) * 1000, delay * (0.5 + Math.random() / 2))
}
