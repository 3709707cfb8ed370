import type { PicaspotClient } from './client.js'
import type { Names, Operation, Options, PathFor, Result, Success, UntypedCall, UntypedOptions } from './types.js'

/**
 * The header that lets a change through only while the resource is still the
 * version that was read; otherwise the server answers 412. Takes an answer that
 * has an ETag, or the ETag.
 */
export function ifMatch(version: string | { etag: string | undefined }): { 'If-Match': string } {
  const etag = typeof version === 'string' ? version : version.etag
  if (!etag) throw new TypeError('The answer has no ETag, so nothing would be guarded.')
  return { 'If-Match': etag }
}

/** The paths of resources that can be asked for on the condition that they changed. */
export type ConditionalPath = {
  [P in PathFor<'get'>]: Operation<P, 'get'> extends { parameters: { header?: infer H } }
    ? 'If-None-Match' extends Names<H>
      ? P
      : never
    : never
}[PathFor<'get'>]

export type Changed<T> = ({ changed: true } & Result<T>) | { changed: false; etag: string }

/** Gets a resource unless it is still the version that `etag` names; without one it always does. */
export async function getIfChanged<P extends ConditionalPath>(
  client: PicaspotClient,
  path: P,
  options: Options<Operation<P, 'get'>> & { etag: string | undefined },
): Promise<Changed<Success<Operation<P, 'get'>>>> {
  const { etag, ...rest } = options as UntypedOptions & { etag: string | undefined }
  const headers = { ...rest.headers, ...(etag !== undefined && { 'If-None-Match': etag }) }
  const result = await (client.GET as unknown as UntypedCall)(path, { ...rest, headers })
  if (result.response.status === 304 && etag !== undefined) return { changed: false, etag }
  return { changed: true, ...(result as Result<Success<Operation<P, 'get'>>>) }
}
