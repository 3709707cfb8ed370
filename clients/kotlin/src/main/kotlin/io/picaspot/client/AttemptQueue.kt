package io.picaspot.client

import io.picaspot.client.internal.Backoff
import io.picaspot.client.model.Attempt
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import okhttp3.RequestBody
import java.io.IOException
import java.time.OffsetDateTime
import java.util.UUID
import java.util.concurrent.ConcurrentHashMap
import kotlin.time.Duration
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds

/** The queue has no room for another attempt. */
public class QueueFullException : IOException("The queue of attempts is full.")

/** What a run through the queue came to. */
public class FlushResult internal constructor(
    /** What was handed in. */
    public val submitted: List<Attempt>,
    /** How many entries still wait. */
    public val waiting: Int,
    /** Why they wait. */
    public val error: Throwable?,
)

/**
 * Attempts of one account that are kept until they can be handed in. Each is sent under the
 * Idempotency-Key that it got when it was added, so that one whose answer got lost is not
 * made twice. They are sent in order. One that the server refuses for good is kept with its
 * problem until [retry] or [remove]; nothing else is given up.
 *
 * @param storage Where the attempts are kept.
 * @param userId The account whose attempts these are. Those of others stay until that account is back.
 * @param maxEntries How many entries there may be.
 * @param maxBytes How many bytes of photos there may be.
 * @param baseDelay The pause after a failure, doubled at each further one.
 * @param maxDelay The longest pause, if the server does not ask for a longer one.
 * @param onSubmitted Is told the attempt that the server made of an entry, before the entry is removed.
 * When the process ends between the two, it is told again, with the same attempt.
 * @param onRefused Is told an entry that the server refused for good, with its problem.
 * @param onWaiting Is told why attempts have to wait: the network is away, the session has ended, the
 * server has no time.
 */
public class AttemptQueue(
    private val client: PicaspotClient,
    private val storage: QueueStorage,
    private val userId: UUID,
    private val maxEntries: Int = 200,
    private val maxBytes: Long = 500_000_000,
    private val baseDelay: Duration = 1.seconds,
    private val maxDelay: Duration = 5.minutes,
    private val onSubmitted: (suspend (Attempt, QueuedAttempt) -> Unit)? = null,
    private val onRefused: (suspend (QueuedAttempt) -> Unit)? = null,
    private val onWaiting: (suspend (Throwable) -> Unit)? = null,
) {
    private val once = client.with(retry = RetryPolicy.NONE)
    private val turn = Mutex()
    private val adding = Mutex()
    private val wakes = Channel<Unit>(Channel.CONFLATED)

    /** Of all: the network, the session, a server that has no time. */
    private val pause = Backoff(baseDelay, maxDelay)

    /** Of single entries, which the server fails at. */
    private val held = ConcurrentHashMap<UUID, Backoff>()

    /**
     * Keeps an attempt; once it returns, the attempt survives the end of the process, as far as
     * the storage does.
     *
     * @param photo As for [uploadAttempt]. It is read once, and copied by storages that last.
     * @param capturedAt When the photo was taken.
     * @throws QueueFullException where there is no room.
     */
    public suspend fun add(
        landmarkId: UUID,
        photo: RequestBody,
        latitude: Double,
        longitude: Double,
        accuracyMeters: Double? = null,
        capturedAt: OffsetDateTime = OffsetDateTime.now(),
    ): QueuedAttempt = withContext(Dispatchers.IO) {
        val entry = QueuedAttempt(
            id = UUID.randomUUID(),
            userId = userId,
            landmarkId = landmarkId,
            latitude = latitude,
            longitude = longitude,
            accuracyMeters = accuracyMeters,
            capturedAt = capturedAt,
            queuedAt = OffsetDateTime.now(),
            photoBytes = photo.contentLength().coerceAtLeast(0),
        )
        adding.withLock {
            val all = storage.list()
            if (all.size >= maxEntries || all.sumOf { it.photoBytes } + entry.photoBytes > maxBytes) throw QueueFullException()
            storage.add(entry, photo)
        }
        wake()
        entry
    }

    /** The entries of the account, in the order in which they were added; refused ones have a problem. */
    public suspend fun list(): List<QueuedAttempt> = withContext(Dispatchers.IO) { storage.list().filter { it.userId == userId } }

    /** Lets a refused entry wait again, as after the app was updated. */
    public suspend fun retry(id: UUID) {
        val entry = list().find { it.id == id } ?: return
        withContext(Dispatchers.IO) { storage.update(entry.copy(problem = null)) }
        held.remove(id)
        wake()
    }

    /** Gives an entry up, and its photo. */
    public suspend fun remove(id: UUID) {
        withContext(Dispatchers.IO) { storage.remove(id) }
        held.remove(id)
    }

    /** Lets [run] try at once, as when the network is back or the user has logged in. */
    public fun wake() {
        wakes.trySend(Unit)
    }

    /** Hands in what waits, now and whenever it may work again, until it is cancelled. Nothing is lost then. */
    public suspend fun run(): Nothing {
        while (true) {
            try {
                flush()
            } catch (e: IOException) {
                // The storage failed; it was told.
                pause.fail(e)
            }
            val next = (held.values + pause).map { it.left }.filter { it.isPositive() }.minOrNull() ?: maxDelay
            withTimeoutOrNull(minOf(next, maxDelay)) { wakes.receive() }
        }
    }

    /**
     * Hands in what waits, in order, until there is nothing left or it has to wait. It is what a
     * worker of Android's WorkManager calls, and retries while there is an error.
     *
     * @throws IOException only if the storage fails.
     */
    public suspend fun flush(): FlushResult = turn.withLock {
        val submitted = mutableListOf<Attempt>()
        val error = try {
            handInAll(submitted)
        } catch (e: CancellationException) {
            throw e
        } catch (e: Exception) {
            e
        }
        if (error != null) onWaiting?.invoke(error)
        FlushResult(submitted, list().count { it.problem == null }, error)
    }

    /** Hands in entry after entry, and answers with why some of them wait for themselves; throws what makes all of them wait. */
    private suspend fun handInAll(submitted: MutableList<Attempt>): Throwable? {
        pause.error?.takeIf { pause.isOrdered }?.let { throw it }
        var entry = next() ?: return null
        var heldBy: Throwable? = null
        try {
            checkAccount()
            while (true) {
                heldBy = handIn(entry, submitted) ?: heldBy
                entry = next() ?: break
            }
        } catch (e: CancellationException) {
            throw e
        } catch (e: Exception) {
            pause.fail(e)
            throw e
        }
        pause.succeed()
        return heldBy
    }

    /** The first entry that is to be tried; those at a landmark stay behind each other. */
    private suspend fun next(): QueuedAttempt? {
        val behind = mutableSetOf<UUID>()
        return list().firstOrNull { entry ->
            val waits = held[entry.id]?.left?.isPositive() == true
            if (waits) behind += entry.landmarkId
            entry.problem == null && !waits && entry.landmarkId !in behind
        }
    }

    /** An account hands in only the photos that were queued under it. The request also tells whether the network is there. */
    private suspend fun checkAccount() {
        check(once.me.getMe().data.id == userId) { "Another account is logged in." }
    }

    /** Answers with why the entry has to wait for itself; throws what makes all of them wait. */
    private suspend fun handIn(entry: QueuedAttempt, submitted: MutableList<Attempt>): Throwable? {
        val photo = withContext(Dispatchers.IO) { storage.photo(entry.id) }
        if (photo == null) {
            refuse(entry, PHOTO_GONE)
            return null
        }
        val attempt = try {
            upload(entry, photo)
        } catch (e: PicaspotException) {
            if (e.isFinal) {
                refuse(entry, QueuedProblem(e.status, e.type, e.code, e.title, e.detail, e.errors))
                return null
            }
            if (e.concernsAll) throw e
            return hold(entry, e)
        }
        try {
            onSubmitted?.invoke(attempt, entry)
        } catch (e: CancellationException) {
            throw e
        } catch (e: Exception) {
            return hold(entry, e)
        }
        remove(entry.id)
        submitted += attempt
        return null
    }

    private suspend fun upload(entry: QueuedAttempt, photo: RequestBody): Attempt = once.unlocks.createAttempt(
        landmarkId = entry.landmarkId,
        photo = photo,
        latitude = entry.latitude,
        longitude = entry.longitude,
        idempotencyKey = entry.id.toString(),
        accuracyMeters = entry.accuracyMeters,
        capturedAt = entry.capturedAt,
    ).data

    private suspend fun refuse(entry: QueuedAttempt, problem: QueuedProblem) {
        // The app may have removed it meanwhile.
        if (list().none { it.id == entry.id }) return
        val refused = entry.copy(problem = problem)
        withContext(Dispatchers.IO) { storage.update(refused) }
        onRefused?.invoke(refused)
    }

    private fun hold(entry: QueuedAttempt, error: Throwable): Throwable {
        held.getOrPut(entry.id) { Backoff(baseDelay, maxDelay) }.fail(error)
        return error
    }

    private companion object {
        /** Why an entry can't be sent whose photo the storage lost. */
        val PHOTO_GONE = QueuedProblem(0, "about:blank", null, "Photo Gone", "The photo is no longer there.", emptyList())
    }
}

/** Whether the server will not say anything else to the same attempt. What comes without a code is not the server's. */
private val PicaspotException.isFinal: Boolean
    get() = when {
        status == 413 -> true
        status !in 400..499 || code == null -> false
        else -> status !in listOf(401, 408, 425, 429) && code != ProblemCode.IDEMPOTENCY_KEY_IN_USE
    }

/** Whether a failure would meet any other entry too: an answer of a hotel's network is one. */
private val PicaspotException.concernsAll: Boolean
    get() = status < 400 || status in listOf(401, 408, 425, 429, 502, 503, 504)
