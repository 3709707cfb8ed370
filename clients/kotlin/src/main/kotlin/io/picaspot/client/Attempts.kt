package io.picaspot.client

import io.picaspot.client.internal.NoStreamException
import io.picaspot.client.internal.Operation
import io.picaspot.client.internal.ServerSentEvent
import io.picaspot.client.internal.json
import io.picaspot.client.model.Attempt
import io.picaspot.client.model.AttemptStatus
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.catch
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.transformWhile
import kotlinx.serialization.SerializationException
import okhttp3.RequestBody
import java.net.SocketTimeoutException
import java.time.OffsetDateTime
import java.util.UUID
import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

/**
 * Hands in a photo at a landmark. The attempt that it answers with is stored but not
 * decided; [watchAttempt] and [waitForAttempt] tell what becomes of it. The name of the
 * file is not sent.
 *
 * @param photo The photo as it was taken, as `file.asRequestBody("image/jpeg".toMediaType())`.
 * @param latitude Where it was taken, as the device says.
 * @param accuracyMeters As the device states it.
 * @param capturedAt When the photo was taken.
 * @param onProgress Is told how much of the photo was sent; see [withProgress].
 */
public suspend fun PicaspotClient.uploadAttempt(
    landmarkId: UUID,
    photo: RequestBody,
    latitude: Double,
    longitude: Double,
    accuracyMeters: Double? = null,
    capturedAt: OffsetDateTime? = null,
    onProgress: ((Progress) -> Unit)? = null,
): Attempt = unlocks.createAttempt(
    landmarkId = landmarkId,
    photo = if (onProgress == null) photo else photo.withProgress(onProgress),
    latitude = latitude,
    longitude = longitude,
    accuracyMeters = accuracyMeters,
    capturedAt = capturedAt,
).data

/** How an attempt is asked for again and again, and how often a stream that broke off is opened again. */
public data class Polling(
    /** The first pause, half as long again each time. */
    val baseDelay: Duration = 400.milliseconds,
    /** The longest pause. */
    val maxDelay: Duration = 10.seconds,
    /** After how many failures in a row to give up. */
    val failures: Int = 5,
    /** Whether the server is to tell by a stream of events, as far as there is one. */
    val stream: Boolean = true,
)

/**
 * An attempt as it is, and again each time that it changed, until it is decided or is to
 * be decided by a moderator: until it is no longer pending. The server tells of a change
 * at once, by a stream that is taken up where it stopped when it breaks off. Where there
 * is none, the attempt is asked for on the condition that something changed. A network
 * that comes and goes is survived.
 */
public fun PicaspotClient.watchAttempt(attemptId: UUID, polling: Polling = Polling()): Flow<Attempt> = flow {
    var lastId: String? = null
    var failed = 0
    var canStream = polling.stream
    while (canStream) {
        var failure: Throwable? = null
        var isPending = true
        caller.stream(eventsOf(attemptId, lastId), SILENCE)
            .filter { it.event == "attempt" }
            .map { it.id to decode(it) }
            .catch { failure = it }
            .transformWhile { (id, attempt) ->
                lastId = id
                failed = 0
                isPending = attempt.status == AttemptStatus.PENDING
                emit(attempt)
                isPending
            }
            .collect { emit(it) }
        if (!isPending) return@flow
        when (val e = failure) {
            // It ended, as when the server restarts.
            null -> {}

            is PicaspotNetworkException -> when {
                // Silence from the start is that of a proxy which waits for the end.
                e.cause is SocketTimeoutException && lastId == null -> canStream = false

                ++failed >= polling.failures -> throw e
            }

            // An older server, or one that has no room, refuses the stream and not the attempt.
            is PicaspotException -> if (e.status == 401 || e.status == 403) throw e else canStream = false

            is NoStreamException, is SerializationException -> canStream = false

            else -> throw e
        }
        if (canStream) delay(RECONNECT * Random.nextDouble(0.5, 1.5))
    }
    emitAll(poll(attemptId, polling, lastId?.let { "\"$it\"" }))
}

/** Waits for the end of [watchAttempt]. */
public suspend fun PicaspotClient.waitForAttempt(attemptId: UUID, polling: Polling = Polling()): Attempt =
    watchAttempt(attemptId, polling).last()

/** How long a stream may be silent: three heartbeats of the server. */
private val SILENCE = 45.seconds

/** How long to wait before another connection. */
private val RECONNECT = 1.seconds

private fun eventsOf(attemptId: UUID, lastId: String?) = Operation("GET", "/api/v1/attempts/{attempt_id}/events")
    .path("attempt_id", attemptId)
    .header("Last-Event-ID", lastId)

private fun decode(event: ServerSentEvent): Attempt = json.decodeFromString(event.data)

/** Asks for an attempt again and again, from the version that is [known] already. */
private fun PicaspotClient.poll(attemptId: UUID, polling: Polling, known: String?): Flow<Attempt> = flow {
    var etag = known
    var failed = 0
    var pause = polling.baseDelay
    while (true) {
        val answer = try {
            ifChanged(etag) { unlocks.getAttempt(attemptId, ifNoneMatch = it) }.also { failed = 0 }
        } catch (e: PicaspotNetworkException) {
            if (++failed >= polling.failures) throw e
            null
        } catch (e: PicaspotException) {
            if ((e.status != 429 && e.status < 500) || ++failed >= polling.failures) throw e
            null
        }
        if (answer != null) {
            etag = answer.etag
            emit(answer.data)
            if (answer.data.status != AttemptStatus.PENDING) return@flow
        }
        delay(pause)
        pause = minOf(pause * 1.5, polling.maxDelay)
    }
}
