package io.picaspot.client

import io.picaspot.client.model.AttemptStatus
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.toList
import okhttp3.Interceptor
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.ResponseBody.Companion.asResponseBody
import okio.Buffer
import okio.ForwardingSource
import okio.Pipe
import okio.buffer
import org.junit.jupiter.api.extension.ExtendWith
import java.io.IOException
import java.util.UUID
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds

private val events = "/api/v1/attempts/$nobody/events"

private const val STREAM = "text/event-stream"

private fun event(id: String, status: String) = "event: attempt\nid: $id\ndata: ${attempt(status)}\n\n"

/** Answers requests in turn. */
private fun answering(vararg answers: Way): Recorder {
    val left = ArrayDeque(answers.asList())
    return Recorder { left.removeFirst()(it) }
}

/** A stream that breaks off after a text. */
private fun Interceptor.Chain.brokenStream(text: String) = answer(200, contentType = STREAM).newBuilder()
    .body(
        object : ForwardingSource(Buffer().writeUtf8(text)) {
            override fun read(sink: Buffer, byteCount: Long): Long =
                super.read(sink, byteCount).also { if (it == -1L) throw IOException("connection reset") }
        }.buffer().asResponseBody(STREAM.toMediaType()),
    ).build()

private suspend fun statuses(recorder: Recorder, polling: Polling = Polling(baseDelay = 1.milliseconds)) =
    client(recorder.okHttp, RetryPolicy.NONE).watchAttempt(nobody, polling).map { it.status }.toList()

/** An attempt at a landmark that was not attempted before. */
private suspend fun PicaspotClient.attempted(): UUID {
    val at = somewhere()
    return uploadAttempt(landmarkAt(at), photoAt(at).asJPEG(), at.latitude, at.longitude).id
}

@ExtendWith(TestServer::class)
class EventsTest {
    @Test
    fun `the server tells of changes`() = test {
        val recorder = Recorder()
        val user = asNewUser(recorder.okHttp)
        val id = user.attempted()
        val seen = user.watchAttempt(id).toList()
        assertEquals(AttemptStatus.SUCCEEDED, seen.last().status)
        assertEquals(seen.toSet().size, seen.size, "each change is told once")
        assertEquals(1, recorder.of("/api/v1/attempts/$id/events").size)
        assertEquals(0, recorder.of("/api/v1/attempts/$id").size)
        assertEquals(AttemptStatus.SUCCEEDED, user.waitForAttempt(id).status, "what is decided already is told as well")
    }

    @Test
    fun `a token that the server refuses is renewed`() = test {
        val tokens = MemoryTokenStore()
        val user = PicaspotClient(TestServer.url, tokens).also { newUser(it) }
        val id = user.attempted()
        val kept = tokens.load()!!
        tokens.save(Tokens("spent", kept.expiresAt, kept.refreshToken))
        val recorder = Recorder()
        val returning = PicaspotClient(TestServer.url, tokens, recorder.okHttp)
        assertEquals(AttemptStatus.SUCCEEDED, returning.waitForAttempt(id).status)
        assertEquals(1, recorder.of("/api/v1/auth/refresh").size)
        assertEquals(2, recorder.of("/api/v1/attempts/$id/events").size)
    }

    @Test
    fun `a stream goes on where it broke off`() = test {
        val recorder = answering(
            { it.brokenStream("retry: 1\n\n" + event("a", "pending") + "event: attempt\nid: b\nda") },
            { it.answer(200, "retry: 1\n\n:\n\n", STREAM) },
            { it.answer(200, ": hello\r\n\r\nevent: other\ndata: x\n\n" + event("b", "succeeded"), STREAM) },
        )
        assertEquals(listOf(AttemptStatus.PENDING, AttemptStatus.SUCCEEDED), statuses(recorder))
        assertEquals(
            listOf(events to null, events to "a", events to "a"),
            recorder.sent.map { it.path to it.headers["Last-Event-ID"] },
        )
    }

    @Test
    fun `an attempt is polled where there is no stream`() = test {
        for (refusal in listOf<Way>(
            { it.answer(404, """{"type": "/problems/not_found"}""") },
            { it.answer(503, headers = mapOf("Retry-After" to "60")) },
            { it.answer(200, attempt("pending")) },
        )) {
            val recorder = answering(refusal, { it.answer(200, attempt("failed"), headers = mapOf("ETag" to "\"1\"")) })
            assertEquals(listOf(AttemptStatus.FAILED), statuses(recorder))
            assertEquals(listOf(events, "/api/v1/attempts/$nobody"), recorder.sent.map { it.path })
        }
    }

    @Test
    fun `only what is new is polled for`() = test {
        val recorder = answering(
            { it.answer(200, event("a", "pending"), STREAM) },
            { it.answer(503) },
            { it.answer(304, headers = mapOf("ETag" to "\"a\"")) },
            { it.answer(200, attempt("failed"), headers = mapOf("ETag" to "\"b\"")) },
        )
        assertEquals(listOf(AttemptStatus.PENDING, AttemptStatus.FAILED), statuses(recorder))
        assertEquals(listOf(null, null, "\"a\"", "\"a\""), recorder.sent.map { it.headers["If-None-Match"] })
    }

    @Test
    fun `a network that is gone, and a session that ended, end the wait`() = test {
        val gone = Recorder { throw IOException("connection reset") }
        assertFailsWith<PicaspotNetworkException> { statuses(gone, Polling(failures = 2)) }
        assertEquals(2, gone.of(events).size)
        val ended = answering({ it.answer(401, """{"type": "/problems/session_ended"}""") })
        assertEquals("session_ended", refusal { statuses(ended) }.code)
    }

    @Test
    fun `who leaves ends the stream`() = test {
        val pipe = Pipe(10_000)
        pipe.sink.buffer().writeUtf8(event("a", "pending")).flush()
        val call = CompletableDeferred<okhttp3.Call>()
        val silent = through {
            call.complete(it.call())
            it.answer(200).newBuilder().body(pipe.source.buffer().asResponseBody(STREAM.toMediaType())).build()
        }
        val hasBegun = CompletableDeferred<Unit>()
        val wait = async { client(silent).watchAttempt(nobody).collect { hasBegun.complete(Unit) } }
        hasBegun.await()
        wait.cancel()
        pipe.sink.close() // A call that is cancelled ends its socket; there is none here.
        wait.cancelAndJoin()
        assertTrue(call.await().isCanceled())
    }
}
