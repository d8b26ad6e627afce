package database

import (
	"cmp"
	"context"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// usersQuery is bus.UsersRequest as clients send it.
type usersQuery struct {
	page
	Sort   bus.UsersSort `json:"sort"`
	Order  bus.Order     `json:"order"`
	Filter text          `json:"filter"`
	origin
}

func (q usersQuery) check() error {
	return firstError(q.page.check(), checkWords("filter", q.Filter),
		checkOneOf("sort", q.Sort, bus.UsersByLines, bus.UsersByHours, bus.UsersByFirstSeen, bus.UsersByLastSeen,
			bus.UsersByName), checkOneOf("order", q.Order, bus.Ascending, bus.Descending))
}

func (usersQuery) cost() queryCost { return needsTimes }

// isDescending returns the order, or its default.
func (q usersQuery) isDescending() bool {
	if q.Order == "" {
		return q.Sort != bus.UsersByName
	}
	return q.Order == bus.Descending
}

// userOrders are the columns of the orders that the store knows, and the value of a user in them.
var userOrders = map[bus.UsersSort]struct {
	order store.UserOrder
	value func(store.User) int64
}{
	bus.UsersByLines:     {store.OrderLines, func(u store.User) int64 { return int64(u.Lines) }},
	bus.UsersByFirstSeen: {store.OrderFirstSeen, func(u store.User) int64 { return u.FirstSeen.UnixMilli() }},
	bus.UsersByLastSeen:  {store.OrderLastSeen, func(u store.User) int64 { return u.LastSeen.UnixMilli() }},
	bus.UsersByName:      {store.OrderName, func(store.User) int64 { return 0 }},
}

// users answers bus.QueryUsers.
func (e *Engine) users(ctx context.Context, channel store.Channel, request usersQuery, in queryInput) (any, error) {
	total, err := e.store.CountUsers(ctx, channel)
	if err != nil {
		return nil, err
	}
	if in.timesErr != nil {
		return nil, in.timesErr
	}
	var page usersPage
	if request.Sort == bus.UsersByHours {
		page, err = e.usersByHours(ctx, channel, request, in.times)
	} else {
		page, err = e.usersOf(ctx, channel, request)
	}
	if err != nil {
		return nil, err
	}
	in.times.complete(page.users)
	result := bus.UsersReply{Success: true, Items: []bus.UserItem{}, Total: total}
	for _, user := range page.users[:min(len(page.users), request.limit())] {
		result.Items = append(result.Items, userItem(user))
	}
	result.Items = result.Items[:fits(result.Items, in.maxBytes)]
	if shown := len(result.Items); shown < len(page.users) {
		result.Next = page.places[shown-1].encode()
	} else if page.rest != nil {
		result.Next = page.rest.encode()
	}
	return result, nil
}

// usersPage is a part of a list of users.
type usersPage struct {
	users  []store.User
	places []place // of each
	// rest is the place behind which the list goes on. Nil: behind these users there are none.
	rest *place
}

// usersOf returns the users of a page and one more if there is a next page.
func (e *Engine) usersOf(
	ctx context.Context, channel store.Channel, request usersQuery,
) (page usersPage, err error) {
	by := userOrders[cmp.Or(request.Sort, bus.UsersByLines)]
	query := store.UserQuery{
		Order: by.order, Descending: request.isDescending(), Limit: request.limit() + 1,
		Contains: store.Fold(store.CleanText(string(request.Filter))),
	}
	if request.Cursor.set {
		query.After = &store.UserPlace{Value: request.Cursor.Value, Name: request.Cursor.ID}
	}
	page.users, err = e.store.UserList(ctx, channel, query)
	for _, user := range page.users {
		page.places = append(page.places, place{ID: store.Fold(user.Username), Value: by.value(user)})
	}
	return page, err
}

func userItem(user store.User) bus.UserItem {
	item := bus.UserItem{
		Username: user.Username, Lines: user.Lines, FirstSeenMS: user.FirstSeen.UnixMilli(),
		LastSeenMS: user.LastSeen.UnixMilli(), ConnectedMS: user.Connected.Milliseconds(),
	}
	if user.SessionStart != nil {
		item.OnlineSinceMS = user.SessionStart.UnixMilli()
	}
	return item
}

// usersByHours is usersOf for the order of the time in the channel. Users who were removed since the times were read
// are left out, so that a page with a next one may have fewer users.
func (e *Engine) usersByHours(
	ctx context.Context, channel store.Channel, request usersQuery, known *knownTimes,
) (page usersPage, err error) {
	page.places, page.rest = known.placesOf(request)
	if len(page.places) == 0 {
		return page, nil
	}
	names := make([]string, 0, len(page.places))
	for _, at := range page.places {
		names = append(names, at.ID)
	}
	query := store.UserQuery{Order: store.OrderName, Names: names, Limit: len(names)}
	found, err := e.store.UserList(ctx, channel, query)
	if err != nil {
		return page, err
	}
	byName := map[string]store.User{}
	for _, user := range found {
		byName[store.Fold(user.Username)] = user
	}
	places := page.places
	page.places = nil
	for _, at := range places {
		if user, exists := byName[at.ID]; exists {
			page.users, page.places = append(page.users, user), append(page.places, at)
		}
	}
	return page, nil
}

// placesOf returns the places of the users of a page, and if there are more, also the last of them as the rest.
func (k *knownTimes) placesOf(request usersQuery) (places []place, rest *place) {
	filter, descending := store.Fold(store.CleanText(string(request.Filter))), request.isDescending()
	for i := range k.users {
		user := k.users[i]
		if !descending {
			user = k.users[len(k.users)-1-i]
		}
		at := place{ID: store.Fold(user.Username), Value: user.Connected.Milliseconds()}
		if request.Cursor.set && !isBehind(at, request.Cursor.place, descending) || !strings.Contains(at.ID, filter) {
			continue
		}
		if len(places) == request.limit() {
			return places, &places[len(places)-1]
		}
		places = append(places, at)
	}
	return places, nil
}

// isBehind reports whether a user comes after a place in the list of longest times.
func isBehind(user, at place, descending bool) bool {
	order := cmp.Or(cmp.Compare(at.Value, user.Value), strings.Compare(user.ID, at.ID))
	return descending && order > 0 || !descending && order < 0
}
