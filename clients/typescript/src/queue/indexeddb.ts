import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import type { NativeFile } from '../body.js'
import type { QueuedAttempt, QueueStorage } from './storage.js'

interface Schema extends DBSchema {
  entries: { key: number; value: QueuedAttempt; indexes: { id: string } }
  photos: { key: string; value: Blob | NativeFile }
}

/**
 * Keeps attempts in the browser's IndexedDB, in a database of this name. Tabs of the same
 * origin share it, and take turns at handing in where the browser has Web Locks.
 */
export function indexedDBQueueStorage(name = 'picaspot-attempts'): QueueStorage {
  let opened: Promise<IDBPDatabase<Schema>> | undefined
  const open = () => {
    opened ??= openDB<Schema>(name, 1, {
      upgrade(db) {
        db.createObjectStore('entries', { autoIncrement: true }).createIndex('id', 'id', { unique: true })
        db.createObjectStore('photos')
      },
      blocking: () => close(),
      terminated: () => {
        opened = undefined
      },
    }).catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }
  /** Another tab has a later version of the database, which waits for this one. */
  const close = () => {
    opened?.then((db) => db.close()).catch(() => {})
    opened = undefined
  }
  /** What is written has to be on the disk before the app goes on. */
  const write = async () => (await open()).transaction(['entries', 'photos'], 'readwrite', { durability: 'strict' })
  return {
    async add(entry, photo) {
      const tx = await write()
      // A failure of one rejects `done` as well.
      await Promise.all([tx.objectStore('entries').add(entry), tx.objectStore('photos').add(photo, entry.id), tx.done])
    },
    list: async () => (await open()).getAll('entries'),
    photo: async (id) => (await open()).get('photos', id),
    async update(entry) {
      const tx = await write()
      const entries = tx.objectStore('entries')
      const key = await entries.index('id').getKey(entry.id)
      if (key !== undefined) await entries.put(entry, key)
      await tx.done
    },
    async remove(id) {
      const tx = await write()
      const entries = tx.objectStore('entries')
      const key = await entries.index('id').getKey(id)
      if (key !== undefined) await entries.delete(key)
      await tx.objectStore('photos').delete(id)
      await tx.done
    },
    async exclusively<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
      // Absent on pages that were not fetched over TLS.
      const { navigator } = globalThis as { navigator?: Partial<Navigator> }
      const locks = navigator?.locks
      return locks ? await locks.request(name, { signal }, () => work()) : await work()
    },
  }
}
