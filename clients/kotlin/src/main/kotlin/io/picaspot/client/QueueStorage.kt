@file:UseSerializers(TimeSerializer::class, UuidSerializer::class)

package io.picaspot.client

import io.picaspot.client.internal.TimeSerializer
import io.picaspot.client.internal.UuidSerializer
import io.picaspot.client.model.FieldError
import kotlinx.serialization.Serializable
import kotlinx.serialization.UseSerializers
import okhttp3.RequestBody
import java.time.OffsetDateTime
import java.util.Collections
import java.util.UUID

/** Why the server refused an attempt, in a form that can be stored. */
@Serializable
public data class QueuedProblem(
    /** The HTTP status; 0 where it was never sent, as the storage lost the photo. */
    val status: Int,
    val type: String,
    /** As [PicaspotException.code]. */
    val code: String?,
    val title: String,
    /** For people. */
    val detail: String?,
    val errors: List<FieldError>,
)

/** An attempt that is to be handed in. It can be kept as JSON. */
@Serializable
public data class QueuedAttempt(
    /** Also the Idempotency-Key of each try. */
    val id: UUID,
    /** The account that it belongs to. */
    val userId: UUID,
    val landmarkId: UUID,
    /** Where the photo was taken, as the device says. */
    val latitude: Double,
    val longitude: Double,
    val accuracyMeters: Double?,
    /** When the photo was taken. */
    val capturedAt: OffsetDateTime,
    /** When it was added. */
    val queuedAt: OffsetDateTime,
    /** The size of the photo; 0 where it is not known. */
    val photoBytes: Long,
    /** Why the server refused it for good; null as long as it waits. */
    val problem: QueuedProblem? = null,
)

/**
 * Where queued attempts are kept. What a function promised when it returned has to survive
 * the end of the process; each is done as a whole or not at all. They are called on a
 * thread for I/O.
 */
public interface QueueStorage {
    public suspend fun add(entry: QueuedAttempt, photo: RequestBody)

    /** All entries, in the order in which they were added. */
    public suspend fun list(): List<QueuedAttempt>

    /** The photo of an entry, with its content type; null where it is gone. */
    public suspend fun photo(id: UUID): RequestBody?

    /** Puts an entry in the place of the one of the same id; does nothing where that is gone. */
    public suspend fun update(entry: QueuedAttempt)

    /** Removes an entry and its photo, where they are there. */
    public suspend fun remove(id: UUID)
}

/** Keeps attempts for as long as the process lives. */
public class MemoryQueueStorage : QueueStorage {
    private val kept = Collections.synchronizedMap(LinkedHashMap<UUID, Pair<QueuedAttempt, RequestBody>>())

    override suspend fun add(entry: QueuedAttempt, photo: RequestBody) {
        kept[entry.id] = entry to photo
    }

    override suspend fun list(): List<QueuedAttempt> = synchronized(kept) { kept.values.map { it.first } }

    override suspend fun photo(id: UUID): RequestBody? = kept[id]?.second

    override suspend fun update(entry: QueuedAttempt): Unit = synchronized(kept) {
        kept[entry.id]?.let { (_, photo) -> kept[entry.id] = entry to photo }
    }

    override suspend fun remove(id: UUID) {
        kept.remove(id)
    }
}
