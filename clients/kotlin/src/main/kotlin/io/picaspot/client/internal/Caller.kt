package io.picaspot.client.internal

import io.picaspot.client.Answer
import io.picaspot.client.PicaspotException
import io.picaspot.client.PicaspotNetworkException
import io.picaspot.client.ProblemCode
import io.picaspot.client.RetryPolicy
import io.picaspot.client.model.RefreshRequest
import io.picaspot.client.model.TokenResponse
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext
import kotlinx.serialization.serializer
import okhttp3.HttpUrl
import okhttp3.OkHttpClient
import java.io.IOException
import java.util.concurrent.TimeUnit
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource

/** Calls operations: with a token, as often as it takes. */
internal class Caller(
    private val baseUrl: HttpUrl,
    private val okHttp: OkHttpClient,
    val session: Session,
    private val policy: RetryPolicy,
    private val headers: Map<String, String>,
) {
    /** Another one of the same session. */
    fun with(policy: RetryPolicy?, headers: Map<String, String>) =
        Caller(baseUrl, okHttp, session, policy ?: this.policy, this.headers + headers)

    /** Sends a request with what it needs, as often as it needs, and answers with a success or a 304. */
    suspend fun dispatch(operation: Operation): Received {
        val tries = if (operation.isRepeatable) policy else RetryPolicy.NONE
        var attempt = 1
        var renewed = false
        while (true) {
            val token = if (operation.isPublic) null else session.token()
            val received = try {
                okHttp.newCall(operation.request(baseUrl, headers, token)).receive()
            } catch (e: IOException) {
                delay(tries.delayBefore(attempt++, null) ?: throw PicaspotNetworkException(e))
                continue
            }
            if (received.isSuccess) return received
            if (received.status == 401 && token != null && !renewed && operation.isReplayable) {
                renewed = true
                if (canRenew(token)) continue
            }
            val refusal = received.exception()
            if (!refusal.isTransient) throw refusal
            delay(tries.delayBefore(attempt++, refusal.retryAfter) ?: throw refusal)
        }
    }

    /**
     * Opens a stream, with a token, and closes it again when its flow ends. It is not sent
     * again: who is cut off has more to say then.
     *
     * @param silence How long the server may say nothing.
     */
    fun stream(operation: Operation, silence: Duration): Flow<ServerSentEvent> = flow {
        val patient = okHttp.newBuilder()
            .readTimeout(silence.inWholeMilliseconds, TimeUnit.MILLISECONDS)
            .callTimeout(0, TimeUnit.MILLISECONDS)
            .build()
        var renewed = false
        while (true) {
            val token = session.token()
            val call = patient.newCall(operation.request(baseUrl, headers, token))
            val answer = try {
                call.open()
            } catch (e: IOException) {
                throw PicaspotNetworkException(e)
            }
            if (answer.isSuccessful) {
                emitAll(answer.events(call))
                return@flow
            }
            val refused = withContext(Dispatchers.IO) { answer.received() }
            if (refused.status == 401 && token != null && !renewed) {
                renewed = true
                if (canRenew(token)) continue
            }
            throw refused.exception()
        }
    }

    /** Spends a refresh token. Who got no answer asks again, as long as the server takes it for the same request. */
    suspend fun exchange(refreshToken: String): TokenResponse {
        val begin = TimeSource.Monotonic.markNow()
        var attempt = 1
        while (true) {
            val (failure, retryAfter) = try {
                return call<TokenResponse>(
                    Operation("POST", "/api/v1/auth/refresh", isPublic = true)
                        .body(RefreshRequest(refreshToken), "application/json"),
                ).data
            } catch (e: PicaspotNetworkException) {
                e to null
            } catch (e: PicaspotException) {
                if (!e.isTransient) throw e
                e to e.retryAfter
            }
            val pause = policy.delayBefore(attempt++, retryAfter) ?: throw failure
            if (begin.elapsedNow() + pause > REFRESH_REPEATABLE) throw failure
            delay(pause)
        }
    }

    /** Whether there is another token than the one that was refused. */
    private suspend fun canRenew(refused: String): Boolean = try {
        session.renew(refused) != null
    } catch (e: PicaspotException) {
        if (!e.isRefusal) throw e
        false
    }

    private companion object {
        /** How long after its first use a refresh token may be sent again; the server allows 10 s. */
        val REFRESH_REPEATABLE = 8.seconds
    }
}

/** Calls an operation that answers with a `T`: a file, a text, nothing, or what is read from JSON. */
internal suspend inline fun <reified T> Caller.call(operation: Operation): Answer<T> = withContext(Dispatchers.IO) {
    val received = dispatch(operation)
    val body: Any? = when {
        received.status == Answer.NOT_MODIFIED -> null

        T::class == Unit::class -> Unit

        T::class == ByteArray::class -> received.body

        T::class == String::class -> received.text

        !received.isJSON -> throw received.foreign()

        else -> try {
            json.decodeFromString(serializer<T>(), received.text)
        } catch (e: IllegalArgumentException) {
            // A SerializationException is one.
            throw received.foreign(e)
        }
    }
    Answer(received.status, received.headers, body as T?)
}

/**
 * Whether a refusal says that it would be another answer in a moment. A key in use is
 * the first try's own, which is still under way although its answer got lost.
 */
internal val PicaspotException.isTransient: Boolean
    get() = status == 429 || status == 503 || code == ProblemCode.IDEMPOTENCY_KEY_IN_USE
