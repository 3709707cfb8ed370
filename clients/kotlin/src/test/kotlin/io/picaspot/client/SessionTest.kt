package io.picaspot.client

import io.picaspot.client.model.AdminUserUpdate
import io.picaspot.client.model.MeUpdate
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.Json
import org.junit.jupiter.api.extension.ExtendWith
import java.io.IOException
import java.util.concurrent.CopyOnWriteArrayList
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotEquals
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.test.fail

private const val REFRESH = "/api/v1/auth/refresh"
private const val ME = "/api/v1/me"

private suspend fun TokenStore.spoil(accessToken: String? = null, expiresAt: Long? = null) {
    val tokens = assertNotNull(load())
    save(Tokens(accessToken ?: tokens.accessToken, expiresAt ?: tokens.expiresAt, tokens.refreshToken))
}

private fun sharing(
    tokenStore: TokenStore,
    recorder: Recorder = Recorder(),
    retry: RetryPolicy = RetryPolicy(),
    onSessionEnded: (PicaspotException?) -> Unit = { fail("It ended.") },
) = PicaspotClient(TestServer.url, tokenStore, recorder.okHttp, retry, onSessionEnded = onSessionEnded)

/** A client that takes its tokens from the store of another one that logged in. */
private class Resumed(val recorder: Recorder) {
    val tokenStore = MemoryTokenStore()
    val ended = CopyOnWriteArrayList<PicaspotException?>()
    val client = sharing(tokenStore, recorder) { ended += it }
    lateinit var account: Account
}

private suspend fun resumed(accessToken: String? = null, expiresAt: Long? = null, recorder: Recorder = Recorder()): Resumed =
    Resumed(recorder).apply {
        account = newUser(PicaspotClient(TestServer.url, tokenStore))
        tokenStore.spoil(accessToken, expiresAt)
    }

private suspend fun <T> many(times: Int, call: suspend () -> T): List<T> = coroutineScope { List(times) { async { call() } }.awaitAll() }

@ExtendWith(TestServer::class)
class SessionTest {
    @Test
    fun `many requests with an expired access token make one refresh`() = test {
        with(resumed(expiresAt = 0)) {
            val answers = many(50) { client.me.getMe() }
            assertTrue(answers.all { it.data.username == account.username })
            assertEquals(1, recorder.of(REFRESH).size)
            assertEquals(51, recorder.sent.size, "each was sent once")
        }
    }

    @Test
    fun `many requests with a refused access token make one refresh, and are sent again once`() = test {
        with(resumed(accessToken = "not.a.token")) {
            val answers = many(50) { client.me.getMe() }
            assertTrue(answers.all { it.data.username == account.username })
            assertEquals(1, recorder.of(REFRESH).size)
            assertTrue(recorder.of(ME).size <= 100)
        }
    }

    @Test
    fun `a refused request is sent again with its body`() = test {
        with(resumed(accessToken = "not.a.token")) {
            assertEquals("Collects lighthouses.", client.me.updateMe(MeUpdate(bio = Present("Collects lighthouses."))).data.bio)
            assertNotEquals("not.a.token", tokenStore.load()?.accessToken)
        }
    }

    @Test
    fun `a session that was ended elsewhere is told once`() = test {
        with(resumed()) {
            val elsewhere = client()
            elsewhere.login(account.username, PASSWORD)
            elsewhere.logout(everywhere = true)
            val refusals = many(10) { refusal { client.me.getMe() } }
            assertTrue(refusals.all { it.status == 401 })
            assertEquals(1, recorder.of(REFRESH).size)
            assertEquals(listOf<String?>(ProblemCode.REFRESH_TOKEN_INVALID), ended.map { it?.code })
            assertNull(tokenStore.load())
            assertFalse(client.isLoggedIn())
        }
    }

    @Test
    fun `a lost answer of the refresh does not end the session`() = test {
        with(resumed(expiresAt = 0, recorder = Recorder(flaky(REFRESH, 1, delivered = true)))) {
            assertEquals(account.username, client.me.getMe().data.username)
            assertEquals(2, recorder.of(REFRESH).size)
            assertEquals(emptyList(), ended)
        }
    }

    @Test
    fun `without a network the session stays`() = test {
        with(resumed(expiresAt = 0)) {
            val offline = sharing(tokenStore, Recorder { throw IOException("offline") }, RetryPolicy.NONE)
            assertFailsWith<PicaspotNetworkException> { offline.me.getMe() }
            assertTrue(offline.isLoggedIn())
            assertEquals(account.username, client.me.getMe().data.username)
        }
    }

    @Test
    fun `two clients that share a store take over what the other renewed`() = test {
        with(resumed()) {
            client.me.getMe()
            val other = Recorder()
            sharing(tokenStore, other).refresh()
            assertEquals(1, other.of(REFRESH).size)
            client.refresh()
            client.me.getMe()
            assertEquals(0, recorder.of(REFRESH).size, "the first client has not heard of it and needs no refresh")
        }
    }

    @Test
    fun `what another client renewed counts even if it expires earlier`() = test {
        with(resumed()) {
            client.me.getMe()
            sharing(tokenStore).refresh()
            tokenStore.spoil(expiresAt = System.currentTimeMillis() + 60_000)
            client.refresh()
            assertEquals(0, recorder.of(REFRESH).size)
        }
    }

    @Test
    fun `a store that fails does not bring spent tokens back`() = test {
        with(resumed()) {
            val readOnly = object : TokenStore {
                override suspend fun load() = tokenStore.load()
                override suspend fun save(tokens: Tokens?) = Unit
            }
            val client = sharing(readOnly, recorder)
            client.refresh()
            client.refresh()
            assertEquals(account.username, client.me.getMe().data.username)
            assertEquals(2, recorder.of(REFRESH).size)
        }
    }

    @Test
    fun `a cancelled request does not take the refresh of the others along`() = test {
        val isUnderWay = CompletableDeferred<Unit>()
        val goesOn = CompletableDeferred<Unit>()
        val slow = Recorder { chain ->
            if (chain.request().url.encodedPath == REFRESH) {
                isUnderWay.complete(Unit)
                runBlocking { goesOn.await() }
            }
            chain.proceed(chain.request())
        }
        with(resumed(expiresAt = 0, recorder = slow)) {
            val leaves = launch { client.me.getMe() }
            isUnderWay.await()
            val stays = async(start = CoroutineStart.UNDISPATCHED) { client.me.getMe() }
            leaves.cancelAndJoin()
            goesOn.complete(Unit)
            assertEquals(account.username, stays.await().data.username)
            assertEquals(1, recorder.of(REFRESH).size)
        }
    }

    @Test
    fun `a logout is not undone by a refresh on its way`() = test {
        with(resumed(expiresAt = 0)) {
            val renewal = async { runCatching { client.me.getMe() } }
            client.logout()
            renewal.await()
            assertNull(tokenStore.load())
            assertFalse(client.isLoggedIn())
            assertEquals(emptyList(), ended)
        }
    }

    @Test
    fun `a logout that is cancelled forgets the tokens`() = test {
        val isUnderWay = CompletableDeferred<Unit>()
        val slow = Recorder { chain ->
            isUnderWay.complete(Unit)
            chain.proceed(chain.request())
        }
        with(resumed(recorder = slow)) {
            val leaves = launch { client.logout() }
            isUnderWay.await()
            leaves.cancelAndJoin()
            assertNull(tokenStore.load())
            assertFalse(client.isLoggedIn())
        }
    }

    @Test
    fun `a wrong password is no ended session`() = test {
        with(resumed()) {
            val error = refusal { client.login(account.username, "something else") }
            assertEquals(401 to ProblemCode.BAD_CREDENTIALS, error.status to error.code)
            assertEquals(0, recorder.of(REFRESH).size)
            assertEquals(emptyList(), ended)
            assertTrue(client.isLoggedIn())
        }
    }

    @Test
    fun `a change of the role counts at once`() = test {
        with(resumed()) {
            val admin = asRole("admin").admin
            val id = admin.listUsers(search = account.username).data.items.single().id
            admin.updateUser(id, AdminUserUpdate(role = "moderator"))
            assertEquals("moderator", client.me.getMe().data.role)
        }
    }

    @Test
    fun `tokens can be kept as JSON and do not show in a log`() = test {
        with(resumed()) {
            val tokens = assertNotNull(tokenStore.load())
            val kept = Json.decodeFromString<Tokens>(Json.encodeToString(tokens))
            assertEquals(tokens.accessToken to tokens.refreshToken, kept.accessToken to kept.refreshToken)
            assertFalse(tokens.accessToken in "$tokens" || tokens.refreshToken!! in "$tokens")
        }
    }
}
