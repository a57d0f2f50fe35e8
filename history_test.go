package echohealth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHistoryIsOffUnlessItIsTurnedOn(t *testing.T) {
	h := newHealth(t, echohealth.WithDatabase(well))
	assert.Equal(t, http.StatusNotFound, get(h, "/api/health/history/").Code)
	_, err := h.History(t.Context(), time.Hour)
	assert.ErrorIs(t, err, echohealth.ErrNoHistory)
	_, err = echohealth.New(echohealth.WithPublic(echohealth.History))
	assert.EqualError(t, err, `echohealth: WithPublic: the endpoint "history" needs WithHistory`)
}

// The history of an outage of ten seconds has the same words as the answers, and History returns the same
// figures.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		h := newHealth(t, echohealth.WithHistory(), echohealth.WithHistory(), echohealth.WithoutSystemMetrics(),
			echohealth.WithRedis(probes.Func(func(context.Context) error {
				time.Sleep(2 * time.Millisecond)
				if down.Load() {
					return probes.Fail(probes.ReasonReadOnly, errors.New("s3cret"))
				}
				return nil
			})), echohealth.WithDatabase(well))
		for second := range 40 {
			down.Store(second >= 20 && second < 30)
			get(h, "/api/health/ready/")
			time.Sleep(time.Second)
		}
		answer := get(h, "/api/health/history/?window=1m&component=redis")
		assert.Equal(t, http.StatusOK, answer.Code)
		assert.NotContains(t, answer.Body.String(), "s3cret")
		var got struct {
			Step       int `json:"step_seconds"`
			Components []struct {
				Name, Status string
				Availability float64
				Incidents    int
				Max          []*float64 `json:"max_ms"`
			}
			Transitions []struct {
				Component, From, To, Reason string
				After                       int `json:"after_seconds"`
			}
		}
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &got))
		require.Len(t, got.Components, 1)
		redis := got.Components[0]
		assert.Equal(t, 1, got.Step)
		assert.Equal(t, "-------------------"+"oooooooooooooooooooo"+"eeeeeeeeee"+"ooooooooooo", redis.Status)
		assert.InDelta(t, 31.0/41, redis.Availability, 1e-6)
		assert.Equal(t, 1, redis.Incidents)
		require.NotNil(t, redis.Max[59])
		assert.InEpsilon(t, 2, *redis.Max[59], .13)
		require.Len(t, got.Transitions, 2)
		assert.Equal(t, "read_only", got.Transitions[0].Reason)
		assert.Equal(t, 10, got.Transitions[1].After)

		report, err := h.History(t.Context(), time.Minute)
		require.NoError(t, err)
		require.Len(t, report.Components, 2)
		assert.Equal(t, probes.Error, report.Components[0].Columns[40].Status)
		assert.Equal(t, 1.0, report.Components[1].Availability)
		assert.Equal(t, probes.ReasonReadOnly, report.Changes[0].Reason)
		assert.Equal(t, "redis", report.Changes[0].Check)
		all := get(h, "/api/health/history/?window=1m").Body.String()
		text, err := json.Marshal(report)
		require.NoError(t, err)
		assert.JSONEq(t, all, string(text))
	})
}

// With a schedule a metric's sample serves until the next one, as a check's result does.
func TestTheHistoryOfAMetricHasNoGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, echohealth.WithHistory(), echohealth.WithBackground(5*time.Second),
			echohealth.WithDatabase(well))
		time.Sleep(2 * time.Minute)
		report, err := h.History(t.Context(), time.Minute)
		require.NoError(t, err)
		for _, component := range report.Components {
			for i, column := range component.Columns[:59] { // the look did not wait for the metrics of the present
				assert.NotEmpty(t, column.Status, "%s, column %d", component.Name, i)
			}
		}
	})
}

func TestHistoryWithoutData(t *testing.T) {
	h := newHealth(t, echohealth.WithHistory(), echohealth.WithDatabase(well))
	report, err := h.History(t.Context(), 24*time.Hour) // History is a look
	require.NoError(t, err)
	assert.Equal(t, 1.0, report.Components[0].Availability)
	assert.Equal(t, "cpu", report.Components[1].Name)
	assert.Len(t, report.Components[0].Columns, 96)
	assert.Empty(t, report.Components[0].Columns[0].Status)
	assert.Empty(t, report.Changes)
}

func TestTheParametersOfHistory(t *testing.T) {
	h := newHealth(t, echohealth.WithHistory(), echohealth.WithDatabase(well))
	const window = "window must be a duration from 1m to 24h, such as 1h"
	const others = "the parameters must be window and component only"
	for query, want := range map[string]string{
		"":                           "",
		"?":                          "",
		"?window=24h&component=disk": "",
		"?window=90s&component=cpu":  "",
		"?window=90s&other=1":        others,
		"?windw=1h":                  others,
		"?Window=1h":                 others,
		"?_=1790000000":              others,
		"?=1":                        others,
		"?window=":                   window,
		"?window=1":                  window,
		"?window=59s":                window,
		"?window=25h":                window,
		"?window=-1h":                window,
		"?window=day":                window,
		"?window=1h&window=2h":       "window must be given once",
		"?component=":                "component must be the name of a check or of a system metric",
		"?component=s3cret":          "component must be the name of a check or of a system metric",
		"?%zz":                       "the query must be encoded as in a URL",
	} {
		answer := get(h, "/api/health/history/"+query)
		if want == "" {
			assert.Equal(t, http.StatusOK, answer.Code, query)
			continue
		}
		assert.Equal(t, http.StatusBadRequest, answer.Code, query)
		assert.JSONEq(t, `{"error":"bad_request","message":"`+want+`"}`, answer.Body.String(), query)
	}
	_, err := h.History(t.Context(), time.Second)
	assert.EqualError(t, err, "echohealth: History(1s): "+window)
}

func TestGuardOfTheHistory(t *testing.T) {
	h := newHealth(t, echohealth.WithHistory(), echohealth.WithGuard(echohealth.BearerToken("s3cret")))
	assert.Equal(t, http.StatusUnauthorized, get(h, "/api/health/history/").Code)
	assert.Equal(t, http.StatusOK, get(h.Private(), "/api/health/history/").Code)
}
