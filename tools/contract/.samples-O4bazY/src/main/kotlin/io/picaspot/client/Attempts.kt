package io.picaspot.client

import io.picaspot.client.model.Attempt
import io.picaspot.client.model.AttemptStatus
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.last
import okhttp3.RequestBody
import java.time.OffsetDateTime
import java.util.UUID
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

/** How an attempt is asked for again and again. */
public data class Polling(
    /** The first pause, half as long again each time. */
    val baseDelay: Duration = 400.milliseconds,
    /** The longest pause. */
    val maxDelay: Duration = 10.seconds,
    /** After how many failures in a row to give up. */
    val failures: Int = 5,
)

/**
 * An attempt as it is, and again each time that it changed, until it is decided or is to
 * be decided by a moderator: until it is no longer pending. It is asked for on the
 * condition that something changed, and a network that comes and goes is survived.
 */
public fun PicaspotClient.watchAttempt(attemptId: UUID, polling: Polling = Polling()): Flow<Attempt> = flow {
    var etag: String? = null
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

/** Waits for the end of [watchAttempt]. */
public suspend fun PicaspotClient.waitForAttempt(attemptId: UUID, polling: Polling = Polling()): Attempt =
    watchAttempt(attemptId, polling).last()
