package io.picaspot.client

import io.picaspot.client.model.Attempt
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout
import okhttp3.OkHttpClient
import okio.Buffer
import org.junit.jupiter.api.extension.ExtendWith
import org.junit.jupiter.api.io.TempDir
import java.io.File
import java.time.OffsetDateTime
import java.util.UUID
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.atomic.AtomicInteger
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource

private class Scene(val at: Point, val landmark: UUID, val photo: ByteArray)

private suspend fun scene(): Scene = somewhere().let { Scene(it, landmarkAt(it), photoAt(it)) }

private suspend fun AttemptQueue.add(scene: Scene, landmark: UUID = scene.landmark, capturedAt: OffsetDateTime = OffsetDateTime.now()) =
    add(landmark, scene.photo.asJPEG(), scene.at.latitude, scene.at.longitude, accuracyMeters = 8.0, capturedAt = capturedAt)

private suspend fun PicaspotClient.id(): UUID = me.getMe().data.id

private suspend fun PicaspotClient.attempts(): List<Attempt> = unlocks.listAttempts().data.items.sortedBy { it.createdAt }

private fun entry(id: UUID = UUID.randomUUID()): QueuedAttempt {
    val time = OffsetDateTime.parse("2026-11-01T09:30:00.123Z")
    return QueuedAttempt(id, nobody, nobody, 1.5, 2.5, null, time, time, photoBytes = 3)
}

private suspend fun queue(
    client: PicaspotClient,
    storage: QueueStorage = MemoryQueueStorage(),
    userId: UUID? = null,
    onSubmitted: (suspend (Attempt, QueuedAttempt) -> Unit)? = null,
    onRefused: (suspend (QueuedAttempt) -> Unit)? = null,
    onWaiting: (suspend (Throwable) -> Unit)? = null,
) = AttemptQueue(
    client,
    storage,
    userId ?: client.id(),
    maxEntries = 5,
    baseDelay = 5.milliseconds,
    maxDelay = 20.milliseconds,
    onSubmitted = onSubmitted,
    onRefused = onRefused,
    onWaiting = onWaiting,
)

private suspend fun eventually(check: suspend () -> Boolean) = withTimeout(90.seconds) { while (!check()) delay(10.milliseconds) }

/** What answers attempts in the place of the server, or on the way to it. */
private fun attemptsThrough(way: Way) = Recorder { chain ->
    val request = chain.request()
    if (request.method == "POST" && request.url.encodedPath.endsWith("/attempts")) way(chain) else chain.proceed(request)
}

private fun Recorder.uploads() = sent.filter { it.method == "POST" && it.path.endsWith("/attempts") }

@ExtendWith(TestServer::class)
class QueueTest {
    private suspend fun checkStorage(storage: QueueStorage) {
        assertEquals(emptyList(), storage.list())
        val entries = List(12) { entry() }
        for (it in entries) storage.add(it, it.id.toString().toByteArray().asJPEG())
        assertEquals(entries, storage.list(), "in the order in which they were added")
        val photo = assertNotNull(storage.photo(entries[0].id))
        assertEquals("image/jpeg", photo.contentType().toString())
        assertEquals(entries[0].id.toString(), Buffer().also(photo::writeTo).readUtf8())
        val refused = entries[1].copy(problem = QueuedProblem(409, "/problems/x", "x", "X", null, emptyList()))
        storage.update(refused)
        assertEquals(refused, storage.list()[1])
        storage.remove(refused.id)
        storage.update(refused)
        storage.remove(nobody)
        assertEquals(entries - entries[1], storage.list())
        assertNull(storage.photo(refused.id))
    }

    @Test
    fun `a storage in memory`() = test { checkStorage(MemoryQueueStorage()) }

    @Test
    fun `a storage in a folder`(@TempDir folder: File) = test { checkStorage(FolderQueueStorage(folder.resolve("made/when/needed"))) }

    @Test
    fun `a folder is tidied of what a process left in the middle of a change`(@TempDir folder: File) = test {
        val entry = entry()
        FolderQueueStorage(folder).add(entry, "x".toByteArray().asJPEG())
        folder.resolve("${UUID.randomUUID()}.photo").writeText("without an entry")
        folder.resolve("${UUID.randomUUID()}.draft").writeText("hal")
        folder.resolve("0000000002-damaged.json").writeText("{")
        assertEquals(listOf(entry), FolderQueueStorage(folder).list())
        assertEquals(setOf("0000000001-${entry.id}.json", "0000000002-damaged.json", "${entry.id}.photo"), folder.list()!!.toSet())
    }

    @Test
    fun `what the network can't take is handed in in order when it is back`() = test {
        Relay().use { relay ->
            val account = register(client())
            val client = PicaspotClient(relay.url).also { it.login(account.username, PASSWORD) }
            val waits = CopyOnWriteArrayList<Throwable>()
            val queue = queue(client, onWaiting = { waits += it })
            val scenes = List(3) { scene() }
            relay.down()
            val running = launch { queue.run() }
            val taken = OffsetDateTime.now().minusMinutes(1).withNano(0)
            for (scene in scenes) queue.add(scene, capturedAt = taken)
            eventually { waits.size > 2 }
            assertTrue(waits.all { it is PicaspotNetworkException })
            assertEquals(3, queue.list().size)
            relay.up()
            eventually { queue.list().isEmpty() }
            running.cancel()
            val attempts = client().also { it.login(account.username, PASSWORD) }.attempts()
            assertEquals(scenes.map { it.landmark }, attempts.map { it.landmarkId })
            assertEquals(taken.toInstant(), attempts[0].capturedAt?.toInstant())
            assertEquals(listOf(scenes[0].at.latitude, 8.0), listOf(attempts[0].latitude, attempts[0].accuracyMeters))
        }
    }

    @Test
    fun `an entry whose answer was lost becomes one attempt`() = test {
        Relay().use { relay ->
            val account = register(client())
            val client = PicaspotClient(relay.url, okHttp = OkHttpClient.Builder().retryOnConnectionFailure(false).build())
            client.login(account.username, PASSWORD)
            val submitted = CopyOnWriteArrayList<UUID>()
            val queue = queue(client, onSubmitted = { attempt, _ -> submitted += attempt.id })
            queue.add(scene())
            relay.loses.set(2)
            val lost = queue.flush()
            assertIs<PicaspotNetworkException>(lost.error)
            assertEquals(listOf(0, 1), listOf(lost.submitted.size, lost.waiting))
            eventually { queue.flush().waiting == 0 }
            assertEquals(client.attempts().map { it.id }, submitted)
            assertEquals(1, submitted.size)
        }
    }

    @Test
    fun `another process goes on where one ended`(@TempDir folder: File) = test {
        val user = asNewUser()
        val userId = user.id()
        // A client without a session or a server: nothing can be handed in.
        AttemptQueue(PicaspotClient("http://127.0.0.1:9"), FolderQueueStorage(folder), userId).add(scene())
        var first: Attempt? = null
        val dying = queue(
            user,
            FolderQueueStorage(folder),
            onSubmitted = { attempt, _ ->
                first = attempt
                error("The process ends here.")
            },
        )
        assertEquals("The process ends here.", dying.flush().error?.message)
        val next = queue(user, FolderQueueStorage(folder)).flush()
        assertEquals(listOf(first?.id), next.submitted.map { it.id })
        assertEquals(1, user.attempts().size)
        assertEquals(0, folder.list()!!.size)
    }

    @Test
    fun `what the server refuses is put aside with its problem`() = test {
        val user = asNewUser()
        val refusals = CopyOnWriteArrayList<QueuedAttempt>()
        val queue = queue(user, onRefused = { refusals += it })
        val scene = scene()
        val gone = queue.add(scene, landmark = UUID.randomUUID())
        queue.add(scene)
        val flushed = queue.flush()
        assertEquals(listOf(1, 0, null), listOf(flushed.submitted.size, flushed.waiting, flushed.error))
        val refused = queue.list().single()
        assertEquals(listOf(gone.id, 404, ProblemCode.NOT_FOUND), listOf(refused.id, refused.problem?.status, refused.problem?.code))
        assertEquals(listOf(refused), refusals.toList())
        queue.flush()
        assertEquals(1, refusals.size, "it is not sent again")
        queue.retry(gone.id)
        assertNull(queue.list().single().problem)
        queue.flush()
        assertEquals(2, refusals.size)
        queue.remove(gone.id)
        assertEquals(emptyList(), queue.list())
    }

    @Test
    fun `it waits as long as the server says`() = test {
        val busy = AtomicInteger(1)
        val recorder = attemptsThrough {
            if (busy.getAndDecrement() > 0) it.answer(429, headers = mapOf("Retry-After" to "1")) else it.proceed(it.request())
        }
        val queue = queue(asNewUser(recorder.okHttp))
        queue.add(scene())
        val begin = TimeSource.Monotonic.markNow()
        queue.flush()
        assertEquals(1.seconds, assertIs<PicaspotException>(queue.flush().error).retryAfter)
        assertEquals(1, recorder.uploads().size, "it is not sent before")
        val running = launch { queue.run() }
        eventually { queue.list().isEmpty() }
        assertTrue(begin.elapsedNow() >= 990.milliseconds)
        running.cancel()
    }

    @Test
    fun `one that the server fails at is kept and holds up no other`() = test {
        val (bad, good) = listOf(scene(), scene())
        val failing = AtomicInteger(1)
        val recorder = attemptsThrough {
            val fails = failing.get() > 0 && "${bad.landmark}" in it.request().url.encodedPath
            if (fails) it.answer(500) else it.proceed(it.request())
        }
        val queue = queue(asNewUser(recorder.okHttp))
        val first = queue.add(bad)
        queue.add(bad)
        queue.add(good)
        val flushed = queue.flush()
        assertEquals(listOf(good.landmark), flushed.submitted.map { it.landmarkId })
        assertEquals(2, flushed.waiting)
        assertEquals(500, assertIs<PicaspotException>(flushed.error).status)
        failing.set(0)
        val running = launch { queue.run() }
        eventually { queue.list().all { it.problem != null } }
        running.cancel()
        val keys = recorder.uploads().filter { "${bad.landmark}" in it.path }.map { it.headers["Idempotency-Key"] }
        assertTrue(keys.size >= 3 && keys.dropLast(1).all { it == "${first.id}" }, "the order is kept")
    }

    @Test
    fun `the page of a hotel's network is no answer`() = test {
        val pages = ArrayDeque(listOf(200, 404))
        val recorder = attemptsThrough { chain ->
            pages.removeFirstOrNull()?.let { chain.answer(it, "<h1>Welcome</h1>", "text/html") } ?: chain.proceed(chain.request())
        }
        val queue = queue(asNewUser(recorder.okHttp))
        queue.add(scene())
        val running = launch { queue.run() }
        eventually { queue.list().isEmpty() }
        running.cancel()
        assertEquals(3, recorder.uploads().size)
    }

    @Test
    fun `it waits for a login, and for the right account`() = test {
        val user = client()
        val account = newUser(user)
        val storage = MemoryQueueStorage()
        val client = client()
        val queue = queue(client, storage, user.id())
        queue.add(scene())
        assertEquals(401, assertIs<PicaspotException>(queue.flush().error).status)
        val other = client()
        client.login(newUser(other).username, PASSWORD)
        assertEquals("Another account is logged in.", queue.flush().error?.message)
        val others = queue(client, storage)
        assertEquals(emptyList(), others.list())
        assertEquals(0, others.flush().submitted.size)
        client.login(account.username, PASSWORD)
        assertEquals(1, queue.flush().submitted.size)
        assertEquals(0, other.attempts().size)
    }

    @Test
    fun `two at once make one attempt of each entry`() = test {
        val user = asNewUser()
        val storage = MemoryQueueStorage()
        val queues = List(2) { queue(user, storage) }
        repeat(3) { queues[0].add(scene()) }
        val running = queues.map { launch { it.run() } }
        eventually { queues[0].list().isEmpty() }
        running.forEach { it.cancel() }
        assertEquals(3, user.attempts().size)
    }

    @Test
    fun `there is room for so much`() = test {
        val queue = queue(client(), userId = nobody)
        val scene = scene()
        repeat(5) { queue.add(scene) }
        assertFailsWith<QueueFullException> { queue.add(scene) }
        val small = AttemptQueue(client(), MemoryQueueStorage(), nobody, maxBytes = 10)
        assertFailsWith<QueueFullException> { small.add(scene) }
    }

    @Test
    fun `a photo that the storage lost is told`() = test {
        val storage = object : QueueStorage by MemoryQueueStorage() {
            override suspend fun photo(id: UUID) = null
        }
        val queue = queue(asNewUser(), storage)
        queue.add(scene())
        queue.flush()
        assertEquals("Photo Gone", queue.list().single().problem?.title)
    }
}
