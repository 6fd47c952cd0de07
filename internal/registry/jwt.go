package registry

import (
	"encoding/base64"
	"strings"

	"github.com/custody-log/custody/event"
)

// maxJWTBytes bounds a token whose claims are read.
const maxJWTBytes = 16 << 10 // 16 KiB

// Claims returns what a signed token of a workload says about the workload.
// Nothing is verified: it is what the token claims.
func Claims(token string) (event.OIDC, bool) {
	if len(token) > maxJWTBytes || strings.Count(token, ".") != 2 {
		return event.OIDC{}, false
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return event.OIDC{}, false
	}
	m := Collect("", "iss", "sub", "repository", "project_path", "workflow_ref", "ci_config_ref_uri",
		"ref", "sha", "run_id", "pipeline_id", "environment")
	s := NewSkimmer(m)
	_, _ = s.Write(payload) // it never fails
	if s.Err() != nil || m.Kind("") != Object {
		return event.OIDC{}, false
	}
	// The first name of a pair is GitHub's, the second GitLab's.
	claim := func(names ...string) string {
		for _, name := range names {
			if text := m.Text(name); text != "" {
				return Clean(text, 2*MaxNameBytes)
			}
		}
		return ""
	}
	return event.OIDC{
		Issuer:      claim("iss"),
		Subject:     claim("sub"),
		Repository:  claim("repository", "project_path"),
		WorkflowRef: claim("workflow_ref", "ci_config_ref_uri"),
		Ref:         claim("ref"),
		SHA:         claim("sha"),
		RunID:       claim("run_id", "pipeline_id"),
		Environment: claim("environment"),
	}, true
}
