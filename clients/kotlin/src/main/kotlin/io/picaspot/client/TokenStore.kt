package io.picaspot.client

import kotlinx.serialization.Serializable

/** The tokens of a session. They can be kept as JSON. */
@Serializable
public class Tokens(
    public val accessToken: String,
    /** When the access token expires, in milliseconds since 1970. */
    public val expiresAt: Long,
    public val refreshToken: String? = null,
) {
    /** Without the tokens, which have no place in a log. */
    override fun toString(): String = "Tokens(expiresAt=$expiresAt)"
}

/** Where the tokens of a session are kept. Its functions are called one at a time, on a thread for I/O. */
public interface TokenStore {
    public suspend fun load(): Tokens?

    /** Keeps tokens; null removes them. */
    public suspend fun save(tokens: Tokens?)
}

/** Keeps the tokens for as long as the process lives. */
public class MemoryTokenStore : TokenStore {
    @Volatile
    private var kept: Tokens? = null

    override suspend fun load(): Tokens? = kept

    override suspend fun save(tokens: Tokens?) {
        kept = tokens
    }
}
