package io.picaspot.client

import io.picaspot.client.api.Apis
import io.picaspot.client.internal.Caller
import io.picaspot.client.internal.Session
import io.picaspot.client.internal.isRefusal
import io.picaspot.client.model.LoginRequest
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.withContext
import okhttp3.HttpUrl.Companion.toHttpUrl
import okhttp3.OkHttpClient

/**
 * A client of one server, with one session at most. Its operations are found by the
 * sections of the contract, as [landmarks] or [me]. Each throws a [PicaspotException]
 * for every answer that is not a success and a [PicaspotNetworkException] where there
 * is none, and ends when its coroutine is cancelled. It is safe for use by many threads,
 * and needs not be closed.
 */
public class PicaspotClient private constructor(internal val caller: Caller) : Apis(caller) {
    /**
     * Makes a client of the server at [baseUrl].
     *
     * @param baseUrl Where the server is, as `https://api.picaspot.example`; without /api/v1.
     * @param tokenStore Where the tokens are kept; in memory by default.
     * @param okHttp What sends requests: with its timeouts, interceptors and connections.
     * @param retry How requests that may be sent twice are repeated.
     * @param headers Headers of every request, as X-Timezone.
     * @param onSessionEnded Is called when the session ended by itself: its time is over, it was ended
     * elsewhere, the account was suspended. Not after [logout]. It is called on a thread for I/O.
     * @throws IllegalArgumentException if [baseUrl] is none.
     */
    public constructor(
        baseUrl: String,
        tokenStore: TokenStore = MemoryTokenStore(),
        okHttp: OkHttpClient = OkHttpClient(),
        retry: RetryPolicy = RetryPolicy(),
        headers: Map<String, String> = emptyMap(),
        onSessionEnded: ((PicaspotException?) -> Unit)? = null,
    ) : this(callerOf(baseUrl, tokenStore, okHttp, retry, headers, onSessionEnded))

    /** This client, with the same session, for calls with another [retry] or further [headers]. */
    public fun with(retry: RetryPolicy? = null, headers: Map<String, String> = emptyMap()): PicaspotClient =
        PicaspotClient(caller.with(retry, headers))

    /**
     * Starts a session. Without a code that the account needs, it throws an exception of the
     * code [ProblemCode.OTP_REQUIRED].
     *
     * @param identifier User name or e-mail address.
     * @param otp A code of the authenticator app, or a recovery code.
     * @param remember Whether the session is to last longer.
     */
    public suspend fun login(identifier: String, password: String, otp: String? = null, remember: Boolean? = null) {
        val answer = auth.login(LoginRequest(identifier = identifier, password = password, otp = otp, remember = remember))
        caller.session.start(answer.data)
    }

    /**
     * Ends the session, or with [everywhere] all of the user's. The tokens are forgotten in any
     * case; it throws when the server could not be told.
     */
    public suspend fun logout(everywhere: Boolean = false) {
        val session = caller.session
        try {
            if (session.exists()) {
                if (everywhere) auth.logoutAll() else auth.logout()
            }
        } catch (e: PicaspotException) {
            // What has ended already needs no end.
            if (!e.isRefusal) throw e
        } finally {
            withContext(NonCancellable) { session.forget() }
        }
    }

    /** Renews the access token now, as after a change of the own role. */
    public suspend fun refresh() {
        val session = caller.session
        session.renew(session.token())
    }

    /** Whether there is a session, as far as is known here. */
    public suspend fun isLoggedIn(): Boolean = caller.session.exists()
}

private fun callerOf(
    baseUrl: String,
    tokenStore: TokenStore,
    okHttp: OkHttpClient,
    retry: RetryPolicy,
    headers: Map<String, String>,
    onSessionEnded: ((PicaspotException?) -> Unit)?,
): Caller {
    lateinit var caller: Caller
    val session = Session(tokenStore, onSessionEnded) { caller.exchange(it) }
    caller = Caller(baseUrl.trimEnd('/').toHttpUrl(), okHttp, session, retry, headers)
    return caller
}
