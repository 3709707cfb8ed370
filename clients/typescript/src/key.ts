/** A key that nobody else has, as a version 4 UUID (RFC 9562). */
export function randomKey(): string {
  // Absent on pages that were not fetched over TLS, and in React Native without a polyfill.
  const { crypto } = globalThis as { crypto?: Partial<Crypto> }
  if (crypto?.randomUUID) return crypto.randomUUID()
  const bytes = new Uint8Array(16)
  if (crypto?.getRandomValues) {
    crypto.getRandomValues(bytes)
  } else {
    // It has to be unlike others, not hard to guess: keys count for one account each.
    bytes.forEach((_, i) => {
      bytes[i] = Math.floor(Math.random() * 256)
    })
  }
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
