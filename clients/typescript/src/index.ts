export {
  type AttemptSource,
  type AttemptUpload,
  type PollOptions,
  pollAttempt,
  type StreamOptions,
  streamAttempt,
  uploadAttempt,
  type WaitOptions,
  type WatchOptions,
  waitForAttempt,
  watchAttempt,
} from './attempts.js'
export type { NativeFile } from './body.js'
export { type ClientConfig, type Credentials, createPicaspotClient, type PicaspotClient } from './client.js'
export { PicaspotError, PicaspotNetworkError } from './errors.js'
export { type Changed, type ConditionalPath, getIfChanged, ifMatch } from './etag.js'
export type { OperationCalls } from './generated/calls.js'
export type { ProblemCode } from './generated/problems.js'
export type * from './generated/schema.js'
export type { HookRequest, HookResult, Hooks } from './hooks.js'
export {
  type CursorPage,
  type Item,
  type PaginatedPath,
  type PaginateOptions,
  paginate,
  paginatePages,
} from './paginate.js'
export { indexedDBQueueStorage } from './queue/indexeddb.js'
export {
  type AttemptQueue,
  type AttemptQueueConfig,
  createAttemptQueue,
  type FlushResult,
  QueueFullError,
} from './queue/queue.js'
export {
  memoryQueueStorage,
  type QueuedAttempt,
  type QueuedProblem,
  type QueueStorage,
} from './queue/storage.js'
export type { RetryOptions } from './retry.js'
export { memoryStore, type TokenStore, type Tokens } from './session.js'
export type { Fetch, Progress } from './transport.js'
export type { CallOptions, Method, NamedCall, Operation, PathFor, Result, Success } from './types.js'
