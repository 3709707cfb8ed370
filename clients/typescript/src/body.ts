import type { Traits } from './generated/operations.js'

/** A file as React Native hands it out: of the camera, of a picker. */
export interface NativeFile {
  uri: string
  /** Its content type, as `image/jpeg`. */
  type: string
  name?: string
}

export type Body = string | Blob | FormData | undefined

/** A photo's name says more about its owner than anybody has to know. */
const fileName = 'photo'

/**
 * Brings a body into the form that fetch takes, and says its content type where
 * fetch does not know it by itself.
 */
export function encodeBody(
  body: unknown,
  contentTypes: { given: string | null; traits: Traits },
): { body: Body; contentType?: string } {
  const contentType = contentTypes.given ?? contentTypes.traits.contentType ?? 'application/json'
  if (body === undefined) return { body }
  if (body instanceof FormData) return { body }
  if (isBlob(body)) return { body, contentType: contentTypes.given ?? (body.type || contentType) }
  if (typeof body === 'string' && !isJSON(contentType)) return { body, contentType }
  const fields = defined(body)
  if (contentType === 'multipart/form-data' || fields.some(([, value]) => isFile(value)))
    return { body: toFormData(fields) }
  if (contentType === 'application/x-www-form-urlencoded') return { body: urlEncoded(fields), contentType }
  return { body: JSON.stringify(body), contentType }
}

/** Whether an encoded body takes as long as a file does. */
export function isFileBody(body: Body): boolean {
  return body instanceof FormData || isBlob(body)
}

export function isJSON(contentType: string): boolean {
  return /[/+]json\b/i.test(contentType)
}

function toFormData(fields: [string, unknown][]): FormData {
  const form = new FormData()
  for (const [name, value] of fields) {
    if (isBlob(value)) {
      form.append(name, value, fileName)
    } else if (isNativeFile(value)) {
      // React Native's own FormData reads such an object from the file that it names.
      form.append(name, { uri: value.uri, type: value.type, name: fileName } as unknown as Blob)
    } else {
      form.append(name, String(value))
    }
  }
  return form
}

function urlEncoded(fields: [string, unknown][]): string {
  return fields.map((field) => field.map((part) => encodeURIComponent(String(part))).join('=')).join('&')
}

function defined(body: unknown): [string, unknown][] {
  return Object.entries(body ?? {}).filter(([, value]) => value !== undefined && value !== null)
}

function isFile(value: unknown): boolean {
  return isBlob(value) || isNativeFile(value)
}

function isBlob(value: unknown): value is Blob {
  return typeof Blob !== 'undefined' && value instanceof Blob
}

function isNativeFile(value: unknown): value is NativeFile {
  return typeof value === 'object' && value !== null && 'uri' in value && typeof value.uri === 'string'
}
