import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { QueuedAttempt, QueueStorage } from './storage.js'

/**
 * Keeps attempts in a folder, for Node: of each, the photo and a file of JSON. It is for one
 * process at a time.
 */
export function folderQueueStorage(folder: string): QueueStorage {
  const photoFile = (id: string) => join(folder, `${id}.photo`)
  const entryFile = (name: string) => join(folder, name)
  /** One change after the other, so that each finds the file that the last one left. */
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(prepare).then(work)
    last = result.catch(() => {})
    return result
  }

  let cleaned: Promise<void> | undefined
  /** Removes what a process left that ended in the middle of a change. */
  const prepare = () => {
    cleaned ??= clean().catch((error: unknown) => {
      cleaned = undefined
      throw error
    })
    return cleaned
  }
  async function clean(): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const ids = new Set((await names()).map(idOf))
    for (const name of await readdir(folder)) {
      const isLeft = name.endsWith('.draft') || (name.endsWith('.photo') && !ids.has(name.slice(0, -'.photo'.length)))
      if (isLeft) await rm(join(folder, name), { force: true })
    }
  }

  /** The files of entries, which sort by when they were added. */
  async function names(): Promise<string[]> {
    return (await readdir(folder)).filter((name) => /^\d{10}-.*\.json$/.test(name)).sort()
  }

  const nameOf = async (id: string) => (await names()).find((name) => idOf(name) === id)

  async function write(file: string, content: string | Uint8Array): Promise<void> {
    // A file that is there is whole: a rename happens or does not.
    const draft = join(folder, `${randomUUID()}.draft`)
    try {
      const handle = await open(draft, 'wx', 0o600)
      try {
        await handle.writeFile(content)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(draft, file)
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
  }

  return {
    add: (entry, photo) =>
      inTurn(async () => {
        if (!(photo instanceof Blob)) throw new TypeError('The photo has to be a Blob.')
        const previous = (await names()).at(-1)
        const number = previous ? Number(previous.slice(0, 10)) + 1 : 1
        await write(photoFile(entry.id), new Uint8Array(await photo.arrayBuffer()))
        const stored: Stored = { entry, photoType: photo.type }
        await write(entryFile(`${String(number).padStart(10, '0')}-${entry.id}.json`), JSON.stringify(stored))
      }),
    list: () =>
      inTurn(async () => {
        const entries: QueuedAttempt[] = []
        for (const name of await names()) {
          try {
            entries.push((await readStored(entryFile(name))).entry)
          } catch (error) {
            // One that a disk damaged does not hold up the others; its files stay.
            if (!(error instanceof SyntaxError)) throw error
          }
        }
        return entries
      }),
    photo: (id) =>
      inTurn(async () => {
        const name = await nameOf(id)
        if (!name) return undefined
        const { photoType } = await readStored(entryFile(name))
        return new Blob([await readFile(photoFile(id))], { type: photoType })
      }),
    update: (entry) =>
      inTurn(async () => {
        const name = await nameOf(entry.id)
        if (!name) return
        const { photoType } = await readStored(entryFile(name))
        await write(entryFile(name), JSON.stringify({ entry, photoType } satisfies Stored))
      }),
    remove: (id) =>
      inTurn(async () => {
        const name = await nameOf(id)
        // Without its entry a photo is never sent.
        if (name) await rm(entryFile(name), { force: true })
        await rm(photoFile(id), { force: true })
      }),
  }
}

/** The id in the name of an entry's file, as `0000000001-….json`. */
function idOf(name: string): string {
  return name.slice(11, -'.json'.length)
}

interface Stored {
  entry: QueuedAttempt
  photoType: string
}

async function readStored(file: string): Promise<Stored> {
  return JSON.parse(await readFile(file, 'utf8')) as Stored
}
