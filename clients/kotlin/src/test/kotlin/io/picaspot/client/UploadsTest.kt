package io.picaspot.client

import io.picaspot.client.model.AttemptStatus
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.isActive
import kotlinx.coroutines.launch
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.RequestBody
import okhttp3.RequestBody.Companion.asRequestBody
import okhttp3.RequestBody.Companion.toRequestBody
import okio.Buffer
import okio.BufferedSink
import org.junit.jupiter.api.extension.ExtendWith
import org.junit.jupiter.api.io.TempDir
import java.io.File
import java.util.concurrent.CopyOnWriteArrayList
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds

private val rapid = Polling(baseDelay = 1.milliseconds, stream = false)

private fun assertProgress(seen: List<Progress>, total: Int) {
    assertTrue(seen.size > 2, "${seen.size} steps")
    assertTrue(seen.all { it.total == total.toLong() })
    assertTrue(seen.zipWithNext().all { (a, b) -> a.sent < b.sent })
    assertEquals(total.toLong(), seen.last().sent)
}

private val pending = attempt("pending")

@ExtendWith(TestServer::class)
class UploadsTest {
    @Test
    fun `progress is told, and the photo arrives`() = test {
        val at = somewhere()
        val landmark = landmarkAt(at)
        val photo = largePhotoAt(at)
        val seen = CopyOnWriteArrayList<Progress>()
        val attempt = asRole("user").uploadAttempt(landmark, photo.asJPEG(), at.latitude, at.longitude, onProgress = seen::add)
        assertEquals(photo.size.toLong(), attempt.photo.bytes)
        assertEquals(listOf(at.latitude, at.longitude, null), listOf(attempt.latitude, attempt.longitude, attempt.accuracyMeters))
        assertProgress(seen, photo.size)
    }

    @Test
    fun `an image is sent with progress too`() = test {
        val photo = largePhotoAt(somewhere())
        val seen = CopyOnWriteArrayList<Progress>()
        val me = asNewUser().me.putAvatar(photo.asJPEG().withProgress { seen += it }).data
        assertEquals("image/jpeg", me.avatar?.contentType)
        assertProgress(seen, photo.size)
    }

    @Test
    fun `an upload can be cancelled`() = test {
        val at = somewhere()
        val landmark = landmarkAt(at)
        val user = asNewUser()
        val hasBegun = CompletableDeferred<Unit>()
        val upload = launch {
            val photo = largePhotoAt(at).asJPEG()
            user.uploadAttempt(landmark, photo, at.latitude, at.longitude) {
                hasBegun.complete(Unit)
                // As long as this is told, the upload does not go on.
                while (coroutineContext.isActive) Thread.onSpinWait()
            }
        }
        hasBegun.await()
        upload.cancelAndJoin()
        assertEquals(0, user.unlocks.listAttempts().data.total)
    }

    @Test
    fun `the name of the file stays at home`(@TempDir folder: File) = test {
        val at = somewhere()
        val landmark = landmarkAt(at)
        val file = folder.resolve("at-home.jpg").apply { writeBytes(photoAt(at)) }
        val bodies = CopyOnWriteArrayList<String>()
        val recorder = Recorder { chain ->
            chain.request().body?.let { bodies += Buffer().apply(it::writeTo).readUtf8() }
            chain.proceed(chain.request())
        }
        asRole("user", client(recorder.okHttp))
            .uploadAttempt(landmark, file.asRequestBody("image/jpeg".toMediaType()), at.latitude, at.longitude)
        assertFalse("at-home" in bodies.last())
        assertTrue("filename=" in bodies.last())
    }

    @Test
    fun `an image has to say what it is`() = test {
        assertFailsWith<IllegalArgumentException> { asNewUser().me.putAvatar(ByteArray(1).toRequestBody()) }
    }

    @Test
    fun `waiting survives a network that comes and goes`() = test {
        val at = somewhere()
        val landmark = landmarkAt(at)
        val recorder = Recorder(flaky("/api/v1/attempts/", 4))
        val user = asNewUser(recorder.okHttp, RetryPolicy.NONE)
        val id = user.uploadAttempt(landmark, photoAt(at).asJPEG(), at.latitude, at.longitude).id
        assertEquals(AttemptStatus.SUCCEEDED, user.waitForAttempt(id, rapid).status)
        assertTrue(recorder.of("/api/v1/attempts/$id").size > 4)
    }

    @Test
    fun `waiting is refused at once for what is somebody else's`() = test {
        val at = somewhere()
        val landmark = landmarkAt(at)
        val id = asRole("user").uploadAttempt(landmark, photoAt(at).asJPEG(), at.latitude, at.longitude).id
        assertEquals(404, refusal { asNewUser().waitForAttempt(id) }.status)
    }

    @Test
    fun `waiting gives up on a network that is gone`() = test {
        val recorder = Recorder(flaky("/attempts/", 99))
        val client = client(recorder.okHttp, RetryPolicy.NONE)
        assertFailsWith<PicaspotNetworkException> { client.waitForAttempt(nobody, rapid.copy(failures = 3)) }
        assertEquals(3, recorder.of("/api/v1/attempts/$nobody").size)
    }

    @Test
    fun `an attempt is asked for on the condition that something changed`() = test {
        val answers = ArrayDeque<Way>(
            listOf(
                { it.answer(200, pending, headers = mapOf("ETag" to "\"1\"")) },
                { it.answer(304, headers = mapOf("ETag" to "\"1\"")) },
                { it.answer(200, attempt("needs_review"), headers = mapOf("ETag" to "\"2\"")) },
            ),
        )
        val recorder = Recorder { answers.removeFirst()(it) }
        val seen = client(recorder.okHttp).watchAttempt(nobody, rapid).map { it.status }.toList()
        assertEquals(listOf(AttemptStatus.PENDING, AttemptStatus.NEEDS_REVIEW), seen)
        assertEquals(listOf(null, "\"1\"", "\"1\""), recorder.sent.map { it.headers["If-None-Match"] })
    }

    @Test
    fun `a status that a later server knows ends the wait`() = test {
        val later = through { it.answer(200, attempt("under_appeal")) }
        assertEquals(AttemptStatus.UNKNOWN, client(later).waitForAttempt(nobody).status)
    }

    @Test
    fun `a wait can be cancelled`() = test {
        val hasBegun = CompletableDeferred<Unit>()
        val client = client(through { it.answer(200, pending) })
        val wait = async { client.watchAttempt(nobody).collect { hasBegun.complete(Unit) } }
        hasBegun.await()
        wait.cancelAndJoin()
        assertTrue(wait.isCancelled)
    }

    @Test
    fun `of a file without a length the total is not known`() {
        val seen = mutableListOf<Progress>()
        val photo = ByteArray(3).toRequestBody("image/jpeg".toMediaType())
        val streamed = object : RequestBody() {
            override fun contentType() = photo.contentType()
            override fun writeTo(sink: BufferedSink) = photo.writeTo(sink)
        }
        streamed.withProgress { seen += it }.writeTo(Buffer())
        assertNull(seen.last().total)
        assertEquals(3, seen.last().sent)
    }
}
