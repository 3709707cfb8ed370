package io.picaspot.client

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.asFlow
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.transform

/** What all lists of the API have in common. */
public interface Page<out T> {
    public val items: List<T>

    /** Items on all pages; of lists that were asked for by page, as are the next four. */
    public val total: Int?

    /** True when a search has more matches than [total], which were not counted. */
    public val totalIsLowerBound: Boolean?
    public val page: Int?
    public val size: Int?
    public val pages: Int?

    /** Where the next page begins, of lists that were asked for by cursor; null on the last one. */
    public val nextCursor: String?
}

/**
 * Every item of a list, page after page, as they are collected. It walks by cursor, so
 * that nothing comes twice or is left out when the list grows meanwhile.
 *
 * ```
 * paginate { client.landmarks.listLandmarks(difficulty = 3, cursor = it) }.collect { show(it) }
 * ```
 *
 * @param cursor Where to begin, as [Page.nextCursor] of an earlier page said; at the start by default.
 * @param list Asks for the page at a cursor.
 */
public fun <T> paginate(cursor: String = "", list: suspend (cursor: String) -> Answer<Page<T>>): Flow<T> =
    paginatePages(cursor, list).transform { emitAll(it.items.asFlow()) }

/** As [paginate], page by page. */
public fun <P : Page<*>> paginatePages(cursor: String = "", list: suspend (cursor: String) -> Answer<P>): Flow<P> = flow {
    var next: String? = cursor
    while (next != null) {
        val page = list(next).data
        emit(page)
        next = page.nextCursor
    }
}
