import { connect, createServer, type Server, type Socket } from 'node:net'
import { baseUrl } from './support.js'

/** A network on the way to the server that can go away, and lose what comes back. */
export class Relay {
  /** How many answers are lost on their way back from now on. */
  loses = 0
  /** Connections since it was made. */
  connections = 0
  readonly #port: number
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  private constructor(port: number) {
    this.#port = port
  }

  static async open(): Promise<Relay> {
    const probe = createServer()
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
    const { port } = probe.address() as { port: number }
    await new Promise((resolve) => probe.close(resolve))
    const relay = new Relay(port)
    await relay.up()
    return relay
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** The network is there. */
  async up(): Promise<void> {
    const server = createServer((near) => this.#carry(near))
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
  }

  /** The network is gone: connections break and are refused. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  #carry(near: Socket): void {
    this.connections++
    const { hostname, port } = new URL(baseUrl)
    const far = connect(Number(port), hostname)
    let photo = false
    near.on('data', (chunk) => {
      photo ||= chunk.includes('/attempts')
      far.write(chunk)
    })
    far.on('data', (chunk) => {
      if (photo && this.loses > 0) {
        this.loses--
        near.destroy()
        far.destroy()
        return
      }
      near.write(chunk)
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
    }
  }
}
