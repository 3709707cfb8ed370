import createClient from 'openapi-fetch'
import { orAborted, pause } from './abort.js'
import { encodeBody, isFileBody, isJSON } from './body.js'
import { Deadline } from './deadline.js'
import { errorOf, PicaspotError, PicaspotNetworkError } from './errors.js'
import type { OperationCalls } from './generated/calls.js'
import { operations, type Traits } from './generated/operations.js'
import type { LoginRequest, TokenResponse } from './generated/schema.js'
import { describe, type HookRequest, type Hooks } from './hooks.js'
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

export interface ClientConfig extends Hooks {
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
  /**
   * How long each try may take until its answer begins, in milliseconds; 30,000 by default, false for
   * any time. The call then fails, or is repeated, as when the network fails.
   */
  timeout?: number | false
  /** The same for sending a file, and for reading an answer; 300,000 by default. */
  transferTimeout?: number | false
  /** Tells of each request in one line, to the console or to a function: no token, no body, no position. */
  debug?: boolean | ((line: string) => void)
}

export type Credentials = Omit<LoginRequest, 'cookie'>

/** A client of one server, with one session at most. Its operations are called by name or by path. */
export interface PicaspotClient extends OperationCalls {
  GET: Call<'get'>
  HEAD: Call<'head'>
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
  const { timeout: defaultTimeout = 30_000, transferTimeout = 300_000, debug = false } = config
  const log = debug === true ? (line: string) => console.debug(line) : debug || undefined
  const traitsOf = new Map(Object.values(operations).map(([method, path, traits]) => [`${method} ${path}`, traits]))
  const session = new Session({
    store: config.tokenStore ?? memoryStore(),
    cookie,
    onEnded: config.onSessionEnded,
    exchange,
  })

  async function call(method: string, path: string, options: UntypedOptions = {}): Promise<Result<unknown>> {
    const { retry, body, onProgress, signal = null, stream = false, timeout, ...rest } = options
    const traits = traitsOf.get(`${method} ${path}`) ?? {}
    const given = new Headers({ ...headers, ...rest.headers }).get('Content-Type')
    const encoded = encodeBody(body, { given, traits })
    let answer: Answered | undefined
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
        answer = await dispatch({
          request,
          path,
          traits,
          send: transportFor(fetch, onProgress),
          policy: retry === undefined ? policy : retryPolicy(retry),
          timeout: timeout ?? (isFileBody(request.body) ? transferTimeout : defaultTimeout),
        })
        return answer.response
      },
    })
    if (!answer) throw new TypeError(`${method} ${path} was not sent.`)
    const { response, deadline } = answer
    const result = (data: unknown) => ({ data, etag: response.headers.get('ETag') ?? undefined, response })
    if (stream) {
      deadline.allow(false)
      return result(response.body)
    }
    try {
      return result(await read(response, traits, signal, deadline.signal))
    } finally {
      deadline.end()
    }
  }

  /** One try: with its time, and with what the app does around it. */
  async function attempt({ send, path, timeout }: Dispatch, request: Outgoing, number: number): Promise<Attempted> {
    const hooked: HookRequest = {
      method: request.method,
      url: request.url,
      path,
      headers: request.headers,
      attempt: number,
    }
    await config.onRequest?.(hooked)
    const deadline = new Deadline(request.signal)
    deadline.allow(timeout)
    const begin = Date.now()
    const tell = async (outcome: { response: Response } | { error: unknown }) => {
      const told = { request: hooked, ...outcome, duration: Date.now() - begin }
      log?.(describe(told))
      await config.onResponse?.(told)
    }
    let response: Response
    try {
      response = await send({ ...request, signal: deadline.signal })
    } catch (cause) {
      deadline.end()
      const error = request.signal?.aborted ? cause : new PicaspotNetworkError(cause, request.url)
      await tell({ error })
      if (error instanceof PicaspotNetworkError) return error
      throw error
    }
    deadline.allow(false)
    try {
      await tell({ response })
    } catch (error) {
      deadline.end()
      throw error
    }
    deadline.allow(transferTimeout)
    return { response, deadline }
  }

  /** Sends a request with what it needs, as often as it needs, and answers with a success or a 304. */
  async function dispatch(order: Dispatch): Promise<Answered> {
    const { request, traits, policy } = order
    const { headers, signal } = request
    if (traits.idempotencyKey && !headers.has('Idempotency-Key')) headers.set('Idempotency-Key', randomKey())
    const tries = isRepeatable(request.method, headers, traits) ? policy : noRetry
    let renewed = false
    for (let failures = 0, sent = 1; ; sent++) {
      const token = traits.public ? undefined : await orAborted(session.token(), signal)
      const authorized = new Headers(headers)
      if (token !== undefined) authorized.set('Authorization', `Bearer ${token}`)
      const answer = await attempt(order, { ...request, headers: authorized }, sent)
      let error: PicaspotError | PicaspotNetworkError
      if (answer instanceof PicaspotNetworkError) {
        error = answer
      } else {
        const { response, deadline } = answer
        if (response.ok || response.status === 304) return answer
        if (response.status === 401 && token !== undefined && !renewed) {
          renewed = true
          if (await orAborted(canRenew(token), signal)) {
            deadline.end()
            await response.body?.cancel()
            continue
          }
        }
        error = await errorOf(response)
        deadline.end()
      }
      if (error instanceof PicaspotError && !isTransient(error)) throw error
      const delay = delayBefore(tries, ++failures, error instanceof PicaspotError ? error.retryAfter : undefined)
      if (delay === undefined) throw error
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

  const named = Object.entries(operations).map(([name, [method, path]]) => [
    name,
    ({ path: inPath, query, header, ...rest }: NamedOptions = {}) =>
      call(method, path, {
        ...rest,
        params: { ...(inPath && { path: inPath }), ...(query && { query }), ...(header && { header }) },
      }),
  ])
  const facade = (method: string) => (path: string, options?: UntypedOptions) => call(method, path, options)
  return {
    ...(Object.fromEntries(named) as OperationCalls),
    GET: facade('GET') as Call<'get'>,
    HEAD: facade('HEAD') as Call<'head'>,
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

/** Parameters as the calls by name take them. */
type NamedOptions = Omit<UntypedOptions, 'params'> & NonNullable<UntypedOptions['params']>

/** What it takes to send a request. */
interface Dispatch {
  request: Outgoing
  /** The path of the contract. */
  path: string
  traits: Traits
  send: Transport
  policy: RetryPolicy
  timeout: number | false
}

/** An answer whose body is still to be read, before its deadline. */
interface Answered {
  response: Response
  deadline: Deadline
}

type Attempted = Answered | PicaspotNetworkError

async function read(
  response: Response,
  traits: Traits,
  signal: AbortSignal | null,
  deadline: AbortSignal,
): Promise<unknown> {
  if (response.status === 204 || response.status === 304) return undefined
  // As what a hotel's network puts in the place of an answer.
  const foreign = new PicaspotError(response, { title: 'Unexpected Answer', detail: 'The answer is not the API’s.' })
  if (!traits.answer && !isJSON(response.headers.get('Content-Type') ?? '')) throw foreign
  const body = traits.answer === 'file' ? response.blob() : traits.answer ? response.text() : response.json()
  try {
    return await orAborted<unknown>(body, deadline)
  } catch (cause) {
    if (cause instanceof SyntaxError) throw foreign
    throw signal?.aborted ? cause : new PicaspotNetworkError(cause)
  }
}
