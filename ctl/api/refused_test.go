package api_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
)

// TestRefusedAgainAndAgain: a user who asks for what is not allowed without end
// is reported, and cannot fill the history with it.
func TestRefusedAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		server := api.HandlerWith(api.Options{Refused: func(c api.Caller, request string, _ error) {
			told = append(told, fmt.Sprintf("%d %s", c.UID, request))
		}}, &apitest.Fake{})
		ask := func(uid, times int) {
			for range times {
				r := httptest.NewRequest("GET", "/v1/status", nil)
				server.ServeHTTP(httptest.NewRecorder(), r.WithContext(api.WithCaller(r.Context(), api.Known(uid, uid))))
			}
		}
		ask(1000, 500)
		ask(1001, 1)
		time.Sleep(2 * time.Minute)
		ask(1000, 3)
		want := []string{"1000 GET /v1/status", "1001 GET /v1/status", "1000 GET /v1/status (and 499 more since the last report)"}
		if !slices.Equal(told, want) {
			t.Errorf("reported %q, want %q", told, want)
		}
	})
}
