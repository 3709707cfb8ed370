import type { PicaspotClient } from './client.js'
import type { CallOptions, Names, Operation, Parameters, PathFor, Success, UntypedCall } from './types.js'

/** The paths of lists that can be walked through with a cursor. */
export type PaginatedPath = {
  [P in PathFor<'get'>]: Operation<P, 'get'> extends { parameters: { query?: infer Q } }
    ? 'cursor' extends Names<Q>
      ? P
      : never
    : never
}[PathFor<'get'>]

/** One item of a list. */
export type Item<P extends PaginatedPath> = Success<Operation<P, 'get'>> extends { items: (infer T)[] } ? T : never

/** One page of a list. */
export interface CursorPage<T> {
  items: T[]
  /** Where the next page begins; undefined on the last one. */
  nextCursor: string | undefined
}

type Query<P extends PaginatedPath> = Omit<NonNullable<Parameters<Operation<P, 'get'>>['query']>, 'cursor' | 'page'>

type PathOption<P extends PaginatedPath> =
  Parameters<Operation<P, 'get'>> extends { path: infer V } ? { path: V } : { path?: never }

type QueryOption<P extends PaginatedPath> =
  Record<never, never> extends Query<P> ? { query?: Query<P> } : { query: Query<P> }

export type PaginateOptions<P extends PaginatedPath> = PathOption<P> &
  QueryOption<P> &
  CallOptions & {
    /** Where to begin, as `nextCursor` of an earlier page said; at the start by default. */
    cursor?: string
  }

type PaginateArgument<P extends PaginatedPath> =
  Record<never, never> extends PaginateOptions<P> ? [options?: PaginateOptions<P>] : [options: PaginateOptions<P>]

/**
 * Every item of a list, page after page, as they are needed. It walks by cursor,
 * so that nothing comes twice or is left out when the list grows meanwhile.
 */
export async function* paginate<P extends PaginatedPath>(
  client: PicaspotClient,
  path: P,
  ...options: PaginateArgument<P>
): AsyncGenerator<Item<P>, void, undefined> {
  for await (const page of paginatePages(client, path, ...options)) yield* page.items
}

/** The pages of a list; `query.size` says how many items one has. */
export async function* paginatePages<P extends PaginatedPath>(
  client: PicaspotClient,
  path: P,
  ...[options]: PaginateArgument<P>
): AsyncGenerator<CursorPage<Item<P>>, void, undefined> {
  const { path: pathParameters, query, cursor = '', ...rest } = (options ?? {}) as UntypedPaginateOptions
  const get = client.GET as unknown as UntypedCall
  for (let next: string | undefined = cursor; next !== undefined; ) {
    const params = { ...(pathParameters && { path: pathParameters }), query: { ...query, cursor: next } }
    const { data } = await get(path, { ...rest, params })
    const { items, next_cursor: following } = data as { items: Item<P>[]; next_cursor?: string }
    yield { items, nextCursor: following }
    next = following
  }
}

interface UntypedPaginateOptions extends CallOptions {
  path?: Record<string, unknown>
  query?: Record<string, unknown>
  cursor?: string
}
