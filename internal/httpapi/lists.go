package httpapi

import (
	"context"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/page"
)

// params translates what a request says about pagination. The enums of sort_by
// and sort_order are types of their own in each operation.
func params[By, Order ~string](number, size *int, cursor *string, sortBy *By, sortOrder *Order) page.Params {
	return page.Params{
		Page: deref(number, 0), Size: deref(size, 0), Cursor: cursor,
		SortBy: string(deref(sortBy, "")), SortOrder: page.Order(deref(sortOrder, "")),
	}
}

// toAPIPageInfo translates what stands beside the items of either kind of page.
func toAPIPageInfo[T any](r page.Result[T]) api.PageInfo {
	if r.Keyset != nil {
		return api.PageInfo{NextCursor: r.Keyset.NextCursor}
	}
	info := api.PageInfo{Total: &r.Offset.Total, Page: &r.Offset.Page, Size: &r.Offset.Size, Pages: &r.Offset.Pages}
	if r.Offset.IsLowerBound {
		info.TotalIsLowerBound = ptr(true)
	}
	return info
}

func convert[T, U any](ctx context.Context, items []T, to func(context.Context, T) U) []U {
	converted := make([]U, len(items))
	for i, item := range items {
		converted[i] = to(ctx, item)
	}
	return converted
}
