import createClient from 'openapi-fetch'
import { orAborted, pause } from './abort.js'
import { encodeBody, isJSON } from './body.js'
import { errorOf, PicaspotError, PicaspotNetworkError } from './errors.js'
import { operations, type Traits } from './generated/operations.js'
import type { LoginRequest, TokenResponse } from './generated/schema.js'
import { randomKey } from './key.js'
import {
  delayBefore,
  isRepeatable,
  isTransient,
  noRetry,
  type RetryOptions,
  type RetryPolicy,
  retryPolicy,
} from './retry.js'
import { isRefusal, memoryStore, Session, type TokenStore } from './session.js'
import { type Fetch, type Outgoing, type Transport, transportFor } from './transport.js'
import type { Call, Result, UntypedOptions } from './types.js'

export interface ClientConfig {
  /** Where the server is, as `https://api.picaspot.example`; without /api/v1. */
  baseUrl: string
  /** What sends requests, instead of the platform's own fetch. */
  fetch?: Fetch
  /** Where the tokens are kept; in memory by default. */
  tokenStore?: TokenStore
  /**
   * Whether the refresh token is to travel in an HttpOnly cookie, out of reach of
   * scripts. For browsers, on the API's own site.
   */
  cookie?: boolean
  /**
   * Is called when the session ended by itself: its time is over, it was ended
   * elsewhere, the account was suspended. Not after `logout`.
   */
  onSessionEnded?: (error: PicaspotError | undefined) => void
  /** How requests that may be sent twice are repeated; false for not at all. */
  retry?: RetryOptions | false
  /** Headers of every request, as X-Timezone. */
  headers?: Record<string, string>
}

export type Credentials = Omit<LoginRequest, 'cookie'>

/** A client of one server, with one session at most. */
export interface PicaspotClient {
  GET: Call<'get'>
  POST: Call<'post'>
  PUT: Call<'put'>
  PATCH: Call<'patch'>
  DELETE: Call<'delete'>
  /**
   * Starts a session. Without a code that the account needs, it throws an error
   * of the code `otp_required`.
   */
  login(credentials: Credentials): Promise<void>
  /**
   * Ends the session, or with `everywhere` all of the user's. The tokens are
   * forgotten in any case; it throws when the server could not be told.
   */
  logout(options?: { everywhere?: boolean }): Promise<void>
  /** Renews the access token now, as after a change of the own role. */
  refresh(): Promise<void>
  /** Whether there is a session, as far as is known here; with `cookie` the server may be asked. */
  isLoggedIn(): Promise<boolean>
}

/**
 * What openapi-fetch makes of a call. It stands in for the Request class: what a
 * Request was made of can be sent again, a Request can't.
 */
class Draft {
  readonly url: string
  readonly method: string
  readonly headers: Headers
  readonly body: Outgoing['body']
  readonly signal: AbortSignal | undefined

  constructor(url: string, init: RequestInit & { body: Outgoing['body'] }) {
    this.url = url
    this.method = init.method ?? 'GET'
    this.headers = new Headers(init.headers)
    this.body = init.body
    this.signal = init.signal ?? undefined
  }
}

/** How long after its first use a refresh token may be sent again, in milliseconds; the server allows 10 s. */
const refreshRepeatable = 8000

/** Makes a client of the server at `baseUrl`. */
export function createPicaspotClient(config: ClientConfig): PicaspotClient {
  const { baseUrl, fetch, headers, cookie = false } = config
  // biome-ignore lint/suspicious/noExplicitAny: the facade beneath has the types.
  const core = createClient<any>({
    baseUrl,
    ...(headers && { headers }),
    Request: Draft as unknown as typeof Request,
  })
  const policy = retryPolicy(config.retry)
  const session = new Session({
    store: config.tokenStore ?? memoryStore(),
    cookie,
    onEnded: config.onSessionEnded,
    exchange,
  })

  async function call(method: string, path: string, options: UntypedOptions = {}): Promise<Result<unknown>> {
    const { retry, body, onProgress, signal = null, stream = false, ...rest } = options
    const traits = operations[`${method} ${path}`] ?? {}
    const given = new Headers({ ...headers, ...rest.headers }).get('Content-Type')
    const encoded = encodeBody(body, { given, traits })
    let response: Response | undefined
    await core.request(method.toLowerCase() as 'get', path, {
      ...rest,
      signal,
      headers: { ...rest.headers, ...(encoded.contentType && { 'Content-Type': encoded.contentType }) },
      body: encoded.body,
      bodySerializer: (ready: unknown) => ready,
      // What came is read below, with what is known of the operation.
      parseAs: 'stream',
      fetch: async (draft: unknown) => {
        const request: Outgoing = { ...(draft as Draft), credentials: credentialsFor(path) }
        const send = transportFor(fetch, onProgress)
        response = await dispatch(request, send, traits, retry === undefined ? policy : retryPolicy(retry))
        return response
      },
    })
    if (!response) throw new TypeError(`${method} ${path} was not sent.`)
    const data = stream ? response.body : await read(response, traits, signal)
    return { data, etag: response.headers.get('ETag') ?? undefined, response }
  }

  /** Sends a request with what it needs, as often as it needs, and answers with a success or a 304. */
  async function dispatch(request: Outgoing, send: Transport, traits: Traits, policy: RetryPolicy): Promise<Response> {
    const { headers, signal } = request
    if (traits.idempotencyKey && !headers.has('Idempotency-Key')) headers.set('Idempotency-Key', randomKey())
    const tries = isRepeatable(request.method, headers, traits) ? policy : noRetry
    let renewed = false
    for (let attempt = 1; ; ) {
      const token = traits.public ? undefined : await orAborted(session.token(), signal)
      const authorized = new Headers(headers)
      if (token !== undefined) authorized.set('Authorization', `Bearer ${token}`)
      const answer = await send({ ...request, headers: authorized }).catch((cause: unknown) =>
        networkError(cause, signal, request.url),
      )
      const lost = answer instanceof PicaspotNetworkError
      if (!lost) {
        if (answer.ok || answer.status === 304) return answer
        if (answer.status === 401 && token !== undefined && !renewed) {
          renewed = true
          if (await orAborted(canRenew(token), signal)) {
            await answer.body?.cancel()
            continue
          }
        }
      }
      const error = lost ? answer : await errorOf(answer)
      if (error instanceof PicaspotError && !isTransient(error)) throw error
      const delay = delayBefore(tries, attempt, error instanceof PicaspotError ? error.retryAfter : undefined)
      if (delay === undefined) throw error
      attempt++
      await pause(delay, signal)
    }
  }

  /** Whether there is another token than the one that was refused. */
  async function canRenew(refused: string): Promise<boolean> {
    try {
      return (await session.renew(refused)) !== undefined
    } catch (error) {
      if (isRefusal(error)) return false
      throw error
    }
  }

  /** Spends a refresh token. Who got no answer asks again, as long as the server takes it for the same request. */
  async function exchange(refreshToken: string | undefined): Promise<TokenResponse> {
    const begin = Date.now()
    for (let attempt = 1; ; attempt++) {
      try {
        const body = refreshToken === undefined ? {} : { refresh_token: refreshToken }
        return (await call('POST', '/api/v1/auth/refresh', { body })).data as TokenResponse
      } catch (error) {
        const refused = error instanceof PicaspotError && !isTransient(error)
        const delay = delayBefore(policy, attempt, error instanceof PicaspotError ? error.retryAfter : undefined)
        if (refused || delay === undefined || Date.now() + delay - begin > refreshRepeatable) throw error
        await pause(delay, undefined)
      }
    }
  }

  /** The cookie belongs to the operations of sessions alone. */
  function credentialsFor(path: string): RequestCredentials | undefined {
    return cookie && path.startsWith('/api/v1/auth/') ? 'include' : undefined
  }

  const facade = (method: string) => (path: string, options?: UntypedOptions) => call(method, path, options)
  return {
    GET: facade('GET') as Call<'get'>,
    POST: facade('POST') as Call<'post'>,
    PUT: facade('PUT') as Call<'put'>,
    PATCH: facade('PATCH') as Call<'patch'>,
    DELETE: facade('DELETE') as Call<'delete'>,
    async login(credentials) {
      const { data } = await call('POST', '/api/v1/auth/login', { body: { ...credentials, ...(cookie && { cookie }) } })
      await session.start(data as TokenResponse)
    },
    async logout({ everywhere = false } = {}) {
      try {
        if (await session.exists()) await call('POST', everywhere ? '/api/v1/auth/logout-all' : '/api/v1/auth/logout')
      } catch (error) {
        // What has ended already needs no end.
        if (!isRefusal(error)) throw error
      } finally {
        await session.forget()
      }
    },
    async refresh() {
      await session.renew(await session.token())
    },
    isLoggedIn: () => session.exists(),
  }
}

/** What a failure to send means: an abort is the caller's own, everything else the network's. */
function networkError(cause: unknown, signal: AbortSignal | null | undefined, url?: string): PicaspotNetworkError {
  if (signal?.aborted) throw cause
  return new PicaspotNetworkError(cause, url)
}

async function read(response: Response, traits: Traits, signal: AbortSignal | null): Promise<unknown> {
  if (response.status === 204 || response.status === 304) return undefined
  // As what a hotel's network puts in the place of an answer.
  const foreign = new PicaspotError(response, { title: 'Unexpected Answer', detail: 'The answer is not the API’s.' })
  if (!traits.answer && !isJSON(response.headers.get('Content-Type') ?? '')) throw foreign
  try {
    if (traits.answer === 'file') return await response.blob()
    return traits.answer === 'text' ? await response.text() : await response.json()
  } catch (cause) {
    throw cause instanceof SyntaxError ? foreign : networkError(cause, signal)
  }
}
