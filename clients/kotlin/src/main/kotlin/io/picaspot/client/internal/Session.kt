package io.picaspot.client.internal

import io.picaspot.client.PicaspotException
import io.picaspot.client.TokenStore
import io.picaspot.client.Tokens
import io.picaspot.client.model.TokenResponse
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.async
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext

/**
 * A session: who has the tokens, and who renews them.
 *
 * @property onEnded Is told when the session ended by itself.
 * @property exchange Gets new tokens for a refresh token.
 */
internal class Session(
    private val store: TokenStore,
    private val onEnded: ((PicaspotException?) -> Unit)?,
    private val exchange: suspend (refreshToken: String) -> TokenResponse,
) {
    /** Renewals belong to nobody, so that who leaves does not take along what others wait for. */
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.IO)

    /** Guards all below, and the store. */
    private val mutex = Mutex()
    private var tokens: Tokens? = null
    private var isLoaded = false
    private var renewal: Deferred<String?>? = null

    /** Counts logins and logouts, so that a renewal that one of them overtook changes nothing. */
    private var epoch = 0

    /** The access token that the store had when the session was last renewed. */
    private var renewed: String? = null

    /**
     * An access token that lasts, renewed where it has to be; null where there is no
     * session. A session that turns out to have ended is the server's refusal.
     */
    suspend fun token(): String? {
        val known = current() ?: return null
        return if (known.last()) known.accessToken else renew(known.accessToken)
    }

    /** Whether there is a session, as far as is known. */
    suspend fun exists(): Boolean = current() != null

    /**
     * Another access token than the one that was refused. However many ask for it at
     * once, the server is asked once. When it refuses, the session has ended.
     */
    suspend fun renew(refused: String?): String? {
        val running = mutex.withLock {
            val known = tokens
            if (known != null && known.accessToken != refused && known.last()) return known.accessToken
            renewal?.takeIf { it.isActive } ?: scope.async { renewNow(refused) }.also { renewal = it }
        }
        return running.await()
    }

    /** Starts a session with what a login answered. */
    suspend fun start(answer: TokenResponse) = mutex.withLock {
        epoch++
        keep(tokensOf(answer))
    }

    /** Forgets the session without telling anybody. */
    suspend fun forget() = mutex.withLock { drop() }

    private suspend fun renewNow(refused: String?): String? {
        val epoch: Int
        val known: Tokens?
        val loaded: Tokens?
        val refreshToken: String?
        mutex.withLock {
            epoch = this.epoch
            known = tokens
            loaded = load()
            // Another client may have renewed them, or logged out. What was renewed here already
            // was left there by a store that failed, and its refresh token is spent.
            val stored = if (loaded != null && known != null && loaded.accessToken == renewed) known else loaded
            tokens = stored
            isLoaded = true
            if (stored != null && stored.accessToken != refused && stored.last()) return stored.accessToken
            refreshToken = stored?.refreshToken
            if (refreshToken == null) drop()
        }
        if (refreshToken == null) {
            if (known != null) onEnded?.invoke(null)
            return null
        }
        val answer = try {
            exchange(refreshToken)
        } catch (e: PicaspotException) {
            if (!e.isRefusal) throw e
            mutex.withLock {
                if (epoch != this.epoch) return tokens?.accessToken
                drop()
            }
            onEnded?.invoke(e)
            throw e
        }
        return mutex.withLock {
            if (epoch == this.epoch) {
                renewed = loaded?.accessToken
                keep(tokensOf(answer))
            }
            tokens?.accessToken
        }
    }

    private suspend fun current(): Tokens? = mutex.withLock {
        if (!isLoaded) {
            tokens = load()
            isLoaded = true
        }
        tokens
    }

    private suspend fun drop() {
        epoch++
        keep(null)
    }

    private suspend fun keep(tokens: Tokens?) {
        this.tokens = tokens
        isLoaded = true
        withContext(Dispatchers.IO) { store.save(tokens) }
    }

    private suspend fun load(): Tokens? = withContext(Dispatchers.IO) { store.load() }
}

/** An access token that lasts no longer than this, in milliseconds, may be expired on arrival. */
private const val LEEWAY = 10_000

private fun Tokens.last(): Boolean = expiresAt - LEEWAY > System.currentTimeMillis()

private fun tokensOf(answer: TokenResponse) = Tokens(
    accessToken = answer.accessToken,
    expiresAt = System.currentTimeMillis() + answer.expiresIn * 1000L,
    refreshToken = answer.refreshToken,
)

/** Whether the server said that there is no session any more, and not just that it has no time. */
internal val PicaspotException.isRefusal: Boolean
    get() = status == 400 || status == 401
