package io.picaspot.client.internal

import io.picaspot.client.Answer
import io.picaspot.client.PicaspotException
import io.picaspot.client.model.FieldError
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.SerializationException
import okhttp3.Call
import okhttp3.Callback
import okhttp3.Headers
import okhttp3.Response
import java.io.IOException
import java.text.ParseException
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import kotlin.coroutines.resumeWithException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

/** An answer with all of its body. */
internal class Received(val status: Int, val reason: String, val headers: Headers, val body: ByteArray) {
    val isSuccess: Boolean
        get() = status in 200..299 || status == Answer.NOT_MODIFIED

    val isJSON: Boolean
        get() = isJSON(headers["Content-Type"].orEmpty())

    val text: String
        get() = body.toString(Charsets.UTF_8)

    /** The refusal that this answer is. */
    fun exception(): PicaspotException {
        val problem = try {
            json.decodeFromString<ProblemDocument>(text)
        } catch (_: SerializationException) {
            // Not a problem, or it broke off: the status has to do.
            null
        }
        return exception(problem?.takeIf { it.type != null } ?: ProblemDocument(), null)
    }

    /** What to say of a success that is not the API's, as a hotel's network puts one in the place of an answer. */
    fun foreign(cause: Throwable? = null): PicaspotException =
        exception(ProblemDocument(title = "Unexpected Answer", detail = "The answer is not the API’s."), cause)

    private fun exception(problem: ProblemDocument, cause: Throwable?) = PicaspotException(
        status = status,
        title = problem.title ?: reason.ifEmpty { "Status $status" },
        type = problem.type ?: "about:blank",
        detail = problem.detail,
        instance = problem.instance,
        requestId = problem.requestId ?: headers["X-Request-ID"],
        errors = problem.errors,
        retryAfter = headers["Retry-After"]?.let(::retryAfter),
        cause = cause,
    )
}

/** A problem of which nothing is sure to be there. */
@Serializable
private class ProblemDocument(
    val type: String? = null,
    val title: String? = null,
    val detail: String? = null,
    val instance: String? = null,
    @SerialName("request_id") val requestId: String? = null,
    val errors: List<FieldError> = emptyList(),
)

/** The wait that Retry-After says, which a proxy may give as a date. */
private fun retryAfter(value: String): Duration? {
    value.toLongOrNull()?.let { return it.coerceAtLeast(0).seconds }
    val date = try {
        SimpleDateFormat("EEE, dd MMM yyyy HH:mm:ss z", Locale.US).parse(value) ?: return null
    } catch (_: ParseException) {
        return null
    }
    return (date.time - Date().time).coerceAtLeast(0).milliseconds
}

/** Reads the whole answer, and closes it. */
internal fun Response.received(): Received = use { Received(it.code, it.message, it.headers, it.body?.bytes() ?: ByteArray(0)) }

/** Sends the request and reads the whole answer; who leaves ends both. */
internal suspend fun Call.receive(): Received = send { it.received() }

/** Sends the request and answers with what is yet to be read; who leaves before ends it. */
internal suspend fun Call.open(): Response = send { it }

private suspend fun <T> Call.send(read: (Response) -> T): T = suspendCancellableCoroutine { continuation ->
    continuation.invokeOnCancellation { cancel() }
    enqueue(object : Callback {
        override fun onResponse(call: Call, response: Response) {
            val answer = try {
                read(response)
            } catch (e: IOException) {
                continuation.resumeWithException(e)
                return
            }
            continuation.resume(answer) { _, _, _ -> response.close() }
        }

        override fun onFailure(call: Call, e: IOException) = continuation.resumeWithException(e)
    })
}
