import type { NativeFile } from './body.js'
import type { paths } from './generated/schema.js'
import type { RetryOptions } from './retry.js'
import type { Progress } from './transport.js'

export type Method = 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete'

/** The paths that have a method. */
export type PathFor<M extends Method> = {
  [P in keyof paths]: paths[P] extends { [K in M]: unknown } ? P : never
}[keyof paths]

/** The operation of a method and a path. */
export type Operation<P extends keyof paths, M extends Method> = paths[P] extends { [K in M]: infer O } ? O : never

/** An answer that was a success. */
export interface Result<T> {
  /** The body, undefined where there is none. Files are Blobs, texts are strings. */
  data: T
  /** The version of the resource, for `ifMatch` and `getIfChanged`. */
  etag: string | undefined
  /** The response itself; its body was read. */
  response: Response
}

/** What can be said about any call. */
export interface CallOptions {
  /** Aborts the call, which then throws the signal's reason. */
  signal?: AbortSignal | undefined
  /** Further headers. */
  headers?: Record<string, string>
  /** How this call is repeated; false for not at all. */
  retry?: RetryOptions | false
  /**
   * How long each try of this call may take until the answer begins, in milliseconds, whatever it
   * sends; false for any time.
   */
  timeout?: number | false
}

type SuccessStatus = 200 | 201 | 202 | 203 | 204 | 206

/** The body of a success. */
export type Success<O> = O extends { responses: infer R }
  ? { [S in keyof R & SuccessStatus]: R[S] extends { content: infer C } ? C[keyof C] : undefined }[keyof R &
      SuccessStatus]
  : never

/** The names of parameters of one kind, none where there are none. */
export type Names<T> = [NonNullable<T>] extends [never] ? never : keyof NonNullable<T>

type RequiredKeys<T> = { [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? never : K }[keyof T]

/** A header that only `getIfChanged` sends, as it alone can say that nothing changed. */
type Reserved = 'If-None-Match'

type Header<H> = [Exclude<keyof H, Reserved>] extends [never] ? never : Omit<H, Reserved>

type Parameter<P, K extends string> = P extends { [N in K]: infer V }
  ? { [N in K]: V }
  : P extends { [N in K]?: infer V }
    ? [NonNullable<V>] extends [never]
      ? { [N in K]?: never }
      : { [N in K]?: K extends 'header' ? Header<NonNullable<V>> : NonNullable<V> }
    : never

/** The parameters of an operation; cookies are the platform's to send. */
export type Parameters<O> = O extends { parameters: infer P }
  ? Parameter<P, 'path'> & Parameter<P, 'query'> & Parameter<P, 'header'>
  : never

type ParametersOption<O> = [RequiredKeys<Parameters<O>>] extends [never]
  ? { params?: Parameters<O> }
  : { params: Parameters<O> }

/** Where the contract has a file, React Native's own files are taken too. */
type Fields<T> = { [K in keyof T]: [Extract<T[K], Blob>] extends [never] ? T[K] : T[K] | NativeFile }

type Payload<C> = { [K in keyof C]: K extends 'multipart/form-data' ? Fields<C[K]> | FormData : C[K] }[keyof C]

interface UploadOptions {
  /** Is told how much of the body was sent, where the platform can tell. */
  onProgress?: ((progress: Progress) => void) | undefined
}

type BodyOption<O> = O extends { requestBody: { content: infer C } }
  ? { body: Payload<C> } & UploadOptions
  : O extends { requestBody?: infer R }
    ? [NonNullable<R>] extends [never]
      ? { body?: never }
      : NonNullable<R> extends { content: infer C }
        ? { body?: Payload<C> } & UploadOptions
        : { body?: never }
    : { body?: never }

export type Options<O> = ParametersOption<O> & BodyOption<O> & CallOptions

/** The options, which may be left out where the operation needs none. */
export type OptionsArgument<T> = [RequiredKeys<T>] extends [never] ? [options?: T] : [options: T]

/** Calls the operation of a path. It throws a PicaspotError for every answer that is not a success. */
export type Call<M extends Method> = <P extends PathFor<M>>(
  path: P,
  ...options: OptionsArgument<Options<Operation<P, M>>>
) => Promise<Result<Success<Operation<P, M>>>>

/** Calls one operation, with `path`, `query`, `header` and `body` as far as it has them. It throws as a `Call` does. */
export type NamedCall<O> = (
  ...options: OptionsArgument<Parameters<O> & BodyOption<O> & CallOptions>
) => Promise<Result<Success<O>>>

/** As a `Call`, of what is known at run time only. */
export type UntypedCall = (path: string, options?: UntypedOptions) => Promise<Result<unknown>>

export interface UntypedOptions extends CallOptions, UploadOptions {
  /** Answers with the body as a stream that nobody has read. */
  stream?: boolean
  params?: {
    path?: Record<string, unknown>
    query?: Record<string, unknown>
    header?: Record<string, unknown>
  }
  body?: unknown
}
