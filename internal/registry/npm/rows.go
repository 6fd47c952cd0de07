package npm

import (
	"net/http"
	"strings"

	"github.com/custody-log/custody/internal/registry"
)

// anyMethod matches every method.
const anyMethod = "*"

// A row says what one kind of request means.
type row struct {
	method string
	path   []string // words; those in braces stand for names
	class  registry.Class
	tag    string // of the event, as far as the path tells

	before     func(*exchange) (path string, v registry.Visitor) // the document as it was
	document   bool                                              // the body is a package
	pairs      bool                                              // the body is names and texts
	sent       []string                                          // members of the body to keep
	secrets    []string                                          // members of the body that are secret
	said       []string                                          // members of the answer to keep
	hidden     []string                                          // members of the answer that are secret
	credential bool                                              // the body holds a credential
	polls      bool                                              // it asks whether the user is done in the browser

	result func(*exchange) registry.Result
}

// on returns a copy of r for a method and path.
func (r row) on(method, path string) *row {
	r.method, r.path = method, strings.Split(path, "/")
	return &r
}

// Rows for requests that are not recognised by their path alone.
var (
	pollRow    = pollKind.on(anyMethod, "-/v1/done")
	unknownRow = (row{class: registry.Write, tag: tagUnknownRequest, result: (*exchange).unknownRequest}).on(anyMethod, "")
)

// table returns all rows. The first that fits counts.
func table() []*row {
	const (
		get, put, post, del = http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete
	)
	return []*row{
		// What is asked most often comes first.
		downloadKind.on(get, "{pkg}/-/{file}"),
		whoamiKind.on(get, "-/whoami"),

		loginKind.on(put, "-/user/{user}"),
		loginKind.on(put, "-/user/{user}/-rev/{rev}"),
		webLoginKind.on(post, "-/v1/login"),
		pollKind.on(anyMethod, "-/v1/done"),
		profileReadKind.on(get, "-/npm/v1/user"),
		profileKind.on(post, "-/npm/v1/user"),

		tokenCreateKind.on(post, "-/npm/v1/tokens"),
		tokenListKind.on(get, "-/npm/v1/tokens"),
		tokenRevokeKind.on(del, "-/npm/v1/tokens/token/{secret}"),
		logoutKind.on(del, "-/user/token/{secret}"),
		exchangeKind.on(post, "-/npm/v1/oidc/token/exchange/package/{pkg}"),

		trustAddKind.on(post, "-/package/{pkg}/trust"),
		trustListKind.on(get, "-/package/{pkg}/trust"),
		trustRevokeKind.on(del, "-/package/{pkg}/trust/{id}"),
		accessKind.on(post, "-/package/{pkg}/access"),
		tagSetKind.on(put, "-/package/{pkg}/dist-tags/{tag}"),
		tagSetKind.on(post, "-/package/{pkg}/dist-tags/{tag}"),
		tagRemoveKind.on(del, "-/package/{pkg}/dist-tags/{tag}"),
		tagsKind.on(post, "-/package/{pkg}/dist-tags"),
		tagsAllKind.on(put, "-/package/{pkg}/dist-tags"),

		grantKind.on(put, "-/team/{org}/{team}/package"),
		grantRevokeKind.on(del, "-/team/{org}/{team}/package"),
		memberSetKind.on(put, "-/org/{org}/user"),
		memberRemoveKind.on(del, "-/org/{org}/user"),
		teamCreateKind.on(put, "-/org/{org}/team"),
		teamDestroyKind.on(del, "-/team/{org}/{team}"),
		teamAddKind.on(put, "-/team/{org}/{team}/user"),
		teamRemoveKind.on(del, "-/team/{org}/{team}/user"),

		stageKind.on(post, "-/stage/package/{pkg}"),
		stageApproveKind.on(post, "-/stage/{id}/approve"),
		stageRejectKind.on(del, "-/stage/{id}"),
		stageDownloadKind.on(get, "-/stage/{id}/tarball"),

		fileRemoveKind.on(del, "{pkg}/-/{file}/-rev/{rev}"),
		fileRemoveKind.on(del, "{pkg}/-/{file}"),
		putKind.on(put, "{pkg}"),
		putKind.on(put, "{pkg}/-rev/{rev}"),
		packageRemoveKind.on(del, "{pkg}/-rev/{rev}"),
		packageRemoveKind.on(del, "{pkg}"),
		tagSetKind.on(put, "{pkg}/{tag}"),
	}
}
