import type { NativeFile } from '../body.js'
import type { AttemptCreate, FieldError } from '../generated/schema.js'

/** Why the server refused an attempt, in a form that can be stored. */
export interface QueuedProblem {
  /** The HTTP status; 0 where it was never sent, as the storage lost the photo. */
  status: number
  type: string
  /** As `PicaspotError.code`. */
  code: string | undefined
  title: string
  /** For people. */
  detail: string | undefined
  errors: readonly FieldError[]
}

/** An attempt that is to be handed in. */
export interface QueuedAttempt {
  /** A UUID, which is also the Idempotency-Key of each try. */
  readonly id: string
  /** The account that it belongs to. */
  readonly userId: string
  readonly landmarkId: string
  /** Position and time as they were when the photo was taken. */
  readonly attempt: Omit<AttemptCreate, 'photo'> & { captured_at: string }
  /** When it was added, as RFC 3339 says. */
  readonly queuedAt: string
  /** The size of the photo; 0 where it is not known. */
  readonly photoBytes: number
  /** Why the server refused it for good; undefined as long as it waits. */
  readonly problem?: QueuedProblem
}

/**
 * Where queued attempts are kept. What a function promised when it resolved has to
 * survive the end of the page or the process; each is done as a whole or not at all.
 */
export interface QueueStorage {
  add(entry: QueuedAttempt, photo: Blob | NativeFile): Promise<void>
  /** All entries, in the order in which they were added. */
  list(): Promise<QueuedAttempt[]>
  /** The photo of an entry; undefined where it is gone. */
  photo(id: string): Promise<Blob | NativeFile | undefined>
  /** Puts an entry in the place of the one of the same id; does nothing where that is gone. */
  update(entry: QueuedAttempt): Promise<void>
  /** Removes an entry and its photo, where they are there. */
  remove(id: string): Promise<void>
  /**
   * Runs some work while no other user of the storage, as another tab, runs any. Without it, two may
   * send the same attempt at once, which the server takes for one.
   */
  exclusively?<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

/** Keeps attempts for as long as the page or the process lives. */
export function memoryQueueStorage(): QueueStorage {
  const kept = new Map<string, { entry: QueuedAttempt; photo: Blob | NativeFile }>()
  return {
    async add(entry, photo) {
      kept.set(entry.id, { entry, photo })
    },
    list: async () => [...kept.values()].map(({ entry }) => entry),
    photo: async (id) => kept.get(id)?.photo,
    async update(entry) {
      const found = kept.get(entry.id)
      if (found) kept.set(entry.id, { ...found, entry })
    },
    async remove(id) {
      kept.delete(id)
    },
  }
}
