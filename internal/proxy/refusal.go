package proxy

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// A refusal is an answer of the proxy's own.
type refusal struct {
	status int
	why    string // one of the reasons below
	text   string // for people
}

// Reasons for refusing a request, as metrics and clients see them.
const (
	whyPath      = "unsafe_path"
	whyBeside    = "beside_prefix"
	whyAmbiguous = "ambiguous_request"
	whyLogAway   = "audit_log_away"
	whyStarting  = "proxy_starting"
	whyRefused   = "audit_log_refused"
	whyUpstream  = "registry_unreachable"
)

var refusalReasons = []string{whyPath, whyBeside, whyAmbiguous, whyLogAway, whyStarting, whyRefused, whyUpstream}

// answer writes what every registry client that was looked at shows to its
// user: some read "error", some "errors", some only the status line.
func (r *refusal) answer(w http.ResponseWriter) {
	type problem struct {
		Code    string `json:"code"`
		Detail  string `json:"detail"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(struct {
		Error  string    `json:"error"`
		Errors []problem `json:"errors"`
	}{r.text, []problem{{Code: r.why, Detail: r.text, Message: r.text}}})
	if err != nil {
		panic("proxy: refusal that is not JSON: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if r.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "10")
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(body) // the client may be gone
}
