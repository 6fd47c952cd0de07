package npm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/registry/npm"
)

// publishBody publishes demo-pkg 1.0.0.
const publishBody = `{"_id":"demo-pkg","name":"demo-pkg","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"demo-pkg",
	"version":"1.0.0","maintainers":[{"name":"alice","email":"alice@example.com"}],"dist":{"integrity":"sha512-AAAA","shasum":"00ff"}}},
	"access":null,"_attachments":{"demo-pkg-1.0.0.tgz":{"content_type":"application/octet-stream","data":"AAAAAAAA","length":5}}}`

// was is the document before.
const was = `{"_id":"demo-pkg","_rev":"7-f","name":"demo-pkg","dist-tags":{"latest":"1.1.0","beta":"1.0.0"},
	"maintainers":[{"name":"alice","email":"alice@example.com"},"bob <bob@example.com>"],
	"versions":{"1.0.0":{"dependencies":{"left":"1"}},"1.1.0":{"dependencies":{"left":"1","right":"2"}},"1.2.0":{"deprecated":"old"}}}`

// packageOf returns a document like was but with other versions, tags and owners.
func packageOf(versions, tags, more string) string {
	return `{"_id":"demo-pkg","_rev":"7-f","name":"demo-pkg","versions":{` + versions + `},"dist-tags":{` + tags + `}` + more + `}`
}

// What a PUT of a document is, its body and the document before decide.
func TestPut(t *testing.T) {
	const (
		versions = `"1.0.0":{},"1.1.0":{},"1.2.0":{"deprecated":"old"}`
		tags     = `"latest":"1.1.0","beta":"1.0.0"`
		release  = `project:release:add success project=demo-pkg version=demo-pkg@1.0.0 `
		details  = `"has_install_script":false,"integrity":"sha512-AAAA",`
	)
	publish := func(old, new string) string { return strings.ReplaceAll(publishBody, old, new) }
	tests := []struct {
		name, path, before, body string
		want                     []string
	}{
		{
			"the first version", "/demo-pkg", "", publishBody,
			[]string{release + `{"attested":false,"bytes":5,"dist_tag":"latest",` + details + `"shasum":"00ff","version":"1.0.0"}`},
		},
		{
			"a new version with new dependencies and a script", "/demo-pkg", was,
			publish(`"version":"1.0.0",`, `"scripts":{"test":"x","postinstall":"node x"},"dependencies":{"left":"1","evil":"1"},"optionalDependencies":{"also":"1"},`),
			nil, // below
		},
		{
			"provenance", "/demo-pkg", "",
			publish(`"_attachments":{`, `"_attachments":{"demo-pkg-1.0.0.sigstore":{"content_type":"application/vnd.dev.sigstore.bundle+json;version=0.2","data":"{}","length":2},`),
			[]string{release + `{"attested":true,"bytes":5,"dist_tag":"latest",` + details + `"shasum":"00ff","version":"1.0.0"}`},
		},
		{
			"a length that is a lie", "/demo-pkg", "", publish(`"length":5`, `"length":1`),
			[]string{release + `{"attested":false,"bytes":6,"dist_tag":"latest",` + details + `"shasum":"00ff","version":"1.0.0"}`},
		},
		{
			"a version that is there already, and deprecated", "/demo-pkg", was,
			publish(`"version":"1.0.0",`, `"deprecated":"x",`),
			[]string{release + `{"attested":false,"bytes":5,"deprecated":true,"derived":true,"dist_tag":"latest",` + details +
				`"previous_version":"1.1.0","replaces":true,"rev":"7-f","shasum":"00ff","version":"1.0.0"}`},
		},
		{
			"two versions at once, one of them without a file", "/demo-pkg", "",
			strings.Replace(publish(`"versions":{`, `"versions":{"1.0.0-rc":{},`), `null`, `"restricted"`, 1),
			[]string{release + `{"access":"restricted","attested":false,"bytes":5,"dist_tag":"latest",` + details + `"shasum":"00ff","version":"1.0.0"}`},
		},
		{
			"two versions at once, as one can see", "/demo-pkg", packageOf(`"0.1.0":{}`, ``, ``),
			publish(`"versions":{`, `"versions":{"1.0.0-rc":{},`),
			[]string{
				release + `{"attested":false,"bytes":5,"derived":true,"dist_tag":"latest",` + details + `"rev":"7-f","shasum":"00ff","version":"1.0.0"}`,
				strings.TrimSuffix(release, "1.0.0 ") + `1.0.0-rc {"attested":false,"derived":true,"has_install_script":false,"rev":"7-f","version":"1.0.0-rc"}`,
			},
		},
		{
			"a name that is written in another way", "/demo-pkg", "", publish(`"_attachments"`, `"_attachm\u0065nts"`),
			[]string{release + `{"attested":false,"bytes":5,"dist_tag":"latest",` + details + `"shasum":"00ff","version":"1.0.0"}`},
		},
		{
			"another package inside", "/demo-pkg", "", publish(`"name":"demo-pkg"`, `"name":"other"`),
			[]string{release + `{"ambiguous":true,"attested":false,"bytes":5,"dist_tag":"latest",` + details + `"shasum":"00ff","version":"1.0.0"}`},
		},
		{
			"a tag moved along the way", "/demo-pkg", "", publish(`"latest":"1.0.0"`, `"latest":"1.0.0","stable":"0.9.0"`),
			[]string{
				release + `{"attested":false,"bytes":5,"dist_tag":"latest",` + details + `"shasum":"00ff","version":"1.0.0"}`,
				`project:dist_tag:add success project=demo-pkg version=demo-pkg@0.9.0 {"tag":"stable","version":"0.9.0"}`,
			},
		},
		{
			"files twice, the second time none", "/demo-pkg", was, strings.TrimSuffix(publishBody, "}") + `,"_attachments":{}}`,
			[]string{
				`project:release:remove success project=demo-pkg version=demo-pkg@1.1.0 {"ambiguous":true,"derived":true,"rev":"7-f","tags":["latest"],"version":"1.1.0"}`,
				`project:release:remove success project=demo-pkg version=demo-pkg@1.2.0 {"ambiguous":true,"derived":true,"rev":"7-f","version":"1.2.0"}`,
				`project:dist_tag:remove success project=demo-pkg version=demo-pkg@1.0.0 {"ambiguous":true,"derived":true,"rev":"7-f","tag":"beta","version":"1.0.0"}`,
			},
		},
		{
			"a body that breaks off", "/demo-pkg", "", publishBody[:len(publishBody)-20],
			[]string{release + `{"attested":false,"dist_tag":"latest",` + details + `"shasum":"00ff","undetermined":true,"version":"1.0.0"}`},
		},

		{
			"deprecation", "/demo-pkg", was, packageOf(`"1.0.0":{"deprecated":"use 2"},"1.1.0":{},"1.2.0":{"deprecated":"old"}`, tags, `,"_attachments":{}`),
			[]string{`project:release:deprecate success project=demo-pkg version=demo-pkg@1.0.0 {"derived":true,"message":"use 2","rev":"7-f","version_range":"1.0.0"}`},
		},
		{
			"deprecation of several", "/demo-pkg", was, packageOf(`"1.0.0":{"deprecated":"x"},"1.1.0":{"deprecated":"x"},"1.2.0":{"deprecated":"x"}`, tags, ``),
			[]string{`project:release:deprecate success project=demo-pkg version=demo-pkg@1.0.0 version=demo-pkg@1.1.0 version=demo-pkg@1.2.0 ` +
				`{"count":3,"derived":true,"message":"x","rev":"7-f","version_range":"1.0.0 || 1.1.0 || 1.2.0"}`},
		},
		{
			"a deprecation without a text", "/demo-pkg", was, packageOf(`"1.0.0":{"deprecated":true},"1.1.0":{},"1.2.0":{"deprecated":"old"}`, tags, ``),
			[]string{`project:release:deprecate success project=demo-pkg version=demo-pkg@1.0.0 {"derived":true,"rev":"7-f","version_range":"1.0.0"}`},
		},
		{
			"the end of a deprecation", "/demo-pkg", was, packageOf(`"1.0.0":{},"1.1.0":{},"1.2.0":{"deprecated":""}`, tags, ``),
			[]string{`project:release:undeprecate success project=demo-pkg version=demo-pkg@1.2.0 {"derived":true,"rev":"7-f","version_range":"1.2.0"}`},
		},
		{
			"a removal hidden in a deprecation", "/demo-pkg", was, packageOf(`"1.1.0":{"deprecated":"x"},"1.2.0":{"deprecated":"old"}`, tags, ``),
			[]string{
				`project:release:remove success project=demo-pkg version=demo-pkg@1.0.0 {"derived":true,"rev":"7-f","tags":["beta"],"version":"1.0.0"}`,
				`project:release:deprecate success project=demo-pkg version=demo-pkg@1.1.0 {"derived":true,"message":"x","rev":"7-f","version_range":"1.1.0"}`,
			},
		},
		{
			"a version that is nothing is removed", "/demo-pkg", was, packageOf(`"1.0.0":null,"1.1.0":{},"1.2.0":{"deprecated":"old"}`, tags, ``),
			[]string{`project:release:remove success project=demo-pkg version=demo-pkg@1.0.0 {"derived":true,"rev":"7-f","tags":["beta"],"version":"1.0.0"}`},
		},
		{
			"tags and owners", "/demo-pkg", was, packageOf(versions, `"latest":"1.0.0","next":"1.1.0"`, `,"maintainers":[{"name":"bob"},{"name":"mallory"}]`),
			[]string{
				`project:dist_tag:add success project=demo-pkg version=demo-pkg@1.0.0 {"derived":true,"previous_version":"1.1.0","rev":"7-f","tag":"latest","version":"1.0.0"}`,
				`project:dist_tag:add success project=demo-pkg version=demo-pkg@1.1.0 {"derived":true,"rev":"7-f","tag":"next","version":"1.1.0"}`,
				`project:dist_tag:remove success project=demo-pkg version=demo-pkg@1.0.0 {"derived":true,"rev":"7-f","tag":"beta","version":"1.0.0"}`,
				`project:role:add success project=demo-pkg user=mallory {"derived":true,"rev":"7-f","role":"owner","target_user":"mallory"}`,
				`project:role:remove success project=demo-pkg user=alice {"derived":true,"rev":"7-f","role":"owner","target_user":"alice"}`,
			},
		},
		{
			"nothing changes", "/demo-pkg", was, packageOf(versions, tags, ``),
			[]string{`project:release:edit success project=demo-pkg {"derived":true,"members":["_id","_rev","name","versions","dist-tags"],"rev":"7-f"}`},
		},
		{
			"a version without a file", "/demo-pkg", was, packageOf(versions+`,"9.0.0":{}`, tags, ``),
			[]string{`project:release:edit success project=demo-pkg {"derived":true,"members":["_id","_rev","name","versions","dist-tags"],"rev":"7-f","versions_added":["9.0.0"]}`},
		},

		{
			"one version is removed", "/demo-pkg/-rev/7-f", was, packageOf(`"1.0.0":{},"1.2.0":{"deprecated":"old"}`, `"latest":"1.2.0","beta":"1.0.0"`, ``),
			[]string{`project:release:remove success project=demo-pkg version=demo-pkg@1.1.0 {"derived":true,"rev":"7-f","tags":["latest"],"version":"1.1.0"}`},
		},
		{
			"an owner comes", "/demo-pkg/-rev/7-f", was, `{"_id":"demo-pkg","_rev":"7-f","maintainers":[{"name":"alice","email":"alice@example.com"},{"name":"bob"},{"name":"carol","email":"carol@example.com"}]}`,
			[]string{`project:role:add success project=demo-pkg user=carol {"derived":true,"rev":"7-f","role":"owner","target_user":"carol"}`},
		},

		{
			"a removal without knowing what was", "/demo-pkg/-rev/7-f", "", packageOf(versions, tags, ``),
			[]string{`project:release:remove success project=demo-pkg {"rev":"7-f","undetermined":true}`},
		},
		{
			"owners without knowing what was", "/demo-pkg/-rev/7-f", `{"cut":`, `{"_id":"demo-pkg","_rev":"7-f","maintainers":[{"name":"carol"}]}`,
			[]string{`project:release:edit success project=demo-pkg {"members":["_id","_rev","maintainers"],"rev":"7-f","undetermined":true}`},
		},
		{
			"a deprecation without knowing what was", "/demo-pkg", "", packageOf(`"1.0.0":{},"1.1.0":{"deprecated":"x"}`, tags, ``),
			[]string{`project:release:deprecate success project=demo-pkg version=demo-pkg@1.1.0 {"message":"x","rev":"7-f","undetermined":true,"version_range":"1.1.0"}`},
		},
		{
			"the end of one without knowing what was", "/demo-pkg", "", packageOf(`"1.0.0":{},"1.1.0":{"deprecated":""}`, tags, ``),
			[]string{`project:release:undeprecate success project=demo-pkg version=demo-pkg@1.1.0 {"rev":"7-f","undetermined":true,"version_range":"1.1.0"}`},
		},
		{
			"what cannot be read", "/demo-pkg", was, "\xff\xfe{\x00}\x00",
			[]string{`project:release:edit success project=demo-pkg {"rev":"7-f","undetermined":true}`},
		},
		{
			"nothing at all", "/demo-pkg", was, "",
			[]string{`project:release:edit success project=demo-pkg {"rev":"7-f","undetermined":true}`},
		},
	}
	tests[1].want = []string{`project:release:add success project=demo-pkg version=demo-pkg@2.0.0 {"attested":false,"bytes":5,` +
		`"dependencies_added":["also","evil"],"derived":true,"dist_tag":"latest","has_install_script":true,"integrity":"sha512-AAAA",` +
		`"previous_version":"1.1.0","rev":"7-f","shasum":"00ff","version":"2.0.0"}`}
	tests[1].body = strings.NewReplacer("1.0.0", "2.0.0").Replace(tests[1].body)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := talk{method: "PUT", path: tt.path, header: bearer, before: tt.before, body: tt.body, status: 201, answer: `{"ok":"yes"}`}
			check(t, k, tt.want...)
			// What the client says that it does must make no difference.
			k.header = map[string]string{"Authorization": bearer["Authorization"], "Npm-Command": "star"}
			check(t, k, tt.want...)
		})
	}
}

// A publication that was refused is not shown as a release.
func TestPublishRefused(t *testing.T) {
	tests := []struct {
		name           string
		status         int
		before, answer string
		want           string
	}{
		{"it is there already", 409, "", `{"error":"this package is already present"}`, `failure|version_exists`},
		{"it is there already, by another name", 403, "", `{"error":"You cannot publish over the previously published versions: 1.0.0."}`, `denied|version_exists`},
		{"it is there already, as we know", 403, was, ``, `denied|version_exists`},
		{"not an owner", 403, "", `{"error":"You do not have permission"}`, `denied|not_owner`},
		{"a second factor", 403, "", `{"error":"Two-factor authentication is required"}`, `denied|mfa_required`},
		{"a token that is not known", 401, "", `{}`, `denied|token_disallowed`},
		{"nonsense", 422, "", `{}`, `failure|validation`},
		{"a fault", 500, "", `{}`, `failure|`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, npm.New(npm.Options{}), talk{
				method: "PUT", path: "/demo-pkg", header: bearer, before: tt.before, body: publishBody, status: tt.status, answer: tt.answer,
			})
			if len(r.Events) != 1 || r.Events[0].Tag != "project:release:denied" {
				t.Fatalf("events %q", lines(r.Events))
			}
			e := r.Events[0]
			reason, _ := e.Metadata["reason"].(string)
			if got := string(e.Outcome) + "|" + reason; got != tt.want || e.Metadata["version"] != "1.0.0" {
				t.Errorf("%q of %v, want %q of 1.0.0", got, e.Metadata["version"], tt.want)
			}
		})
	}
	check(t, talk{method: "PUT", path: "/demo-pkg", header: bearer, body: `{"versions":{}`, status: 401, answer: `{"error":"no"}`},
		`project:release:edit denied project=demo-pkg {"error":"no","members":["versions"],"status":401,"undetermined":true}`)
	check(t, talk{method: "PUT", path: "/demo-pkg/-rev/7-f", header: bearer, before: was, body: packageOf(`"1.0.0":{},"1.1.0":{}`, ``, ``), status: 403},
		`project:release:remove_denied denied project=demo-pkg version=demo-pkg@1.2.0 {"derived":true,"rev":"7-f","status":403,"version":"1.2.0"}`,
		`project:dist_tag:remove denied project=demo-pkg version=demo-pkg@1.0.0 {"derived":true,"rev":"7-f","status":403,"tag":"beta","version":"1.0.0"}`,
		`project:dist_tag:remove denied project=demo-pkg version=demo-pkg@1.1.0 {"derived":true,"rev":"7-f","status":403,"tag":"latest","version":"1.1.0"}`)
}

// npm removes a version and then its file. The second is an event only where
// the first was none.
func TestFileRemove(t *testing.T) {
	k := talk{method: "DELETE", path: "/demo-pkg/-/demo-pkg-1.0.0.tgz/-rev/8-f", header: bearer, status: 201, answer: `{"ok":"tarball removed"}`}
	k.before = packageOf(`"1.1.0":{}`, ``, ``)
	check(t, k)
	k.before = was
	check(t, k, `project:file:remove success project=demo-pkg version=demo-pkg@1.0.0 file=demo-pkg-1.0.0.tgz@1.0.0 {"derived":true,"filename":"demo-pkg-1.0.0.tgz","rev":"8-f","version":"1.0.0"}`)
	k.before = ""
	check(t, k, `project:file:remove success project=demo-pkg version=demo-pkg@1.0.0 file=demo-pkg-1.0.0.tgz@1.0.0 {"filename":"demo-pkg-1.0.0.tgz","rev":"8-f","undetermined":true,"version":"1.0.0"}`)
	k.before, k.path = was, "/demo-pkg/-/anything.bin"
	check(t, k, `project:file:remove success project=demo-pkg file=anything.bin {"derived":true,"filename":"anything.bin"}`)
}

// Documents larger than what is kept of them say so, and no version is said to
// be removed because it was not kept.
func TestLargeDocuments(t *testing.T) {
	var all strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&all, `"1.0.%d":{},`, i)
	}
	versions := strings.TrimSuffix(all.String(), ",")
	r := run(t, npm.New(npm.Options{}), talk{
		method: "PUT", path: "/demo-pkg", header: bearer, status: 201,
		before: packageOf(versions, ``, ``), body: packageOf(`"1.0.1":{"deprecated":"x"},`+strings.Replace(versions, `"1.0.1":{},`, ``, 1), ``, ``),
	})
	if got := lines(r.Events); len(got) != 1 || !strings.HasPrefix(got[0], "project:release:deprecate") || !strings.Contains(got[0], `"truncated":true`) {
		t.Errorf("events %.300q", got)
	}
	r = run(t, npm.New(npm.Options{}), talk{
		method: "PUT", path: "/demo-pkg/-rev/7-f", header: bearer, status: 201,
		before: packageOf(versions[:len(versions)/2]+`":{}`, ``, ``), body: packageOf(`"1.0.0":{}`, ``, ``),
	})
	if got := lines(r.Events); len(got) != 1 || !strings.Contains(got[0], `"count":`) || !strings.Contains(got[0], `"truncated":true`) {
		t.Errorf("events %.300q", got)
	}
	r = run(t, npm.New(npm.Options{}), talk{
		method: "PUT", path: "/demo-pkg", header: bearer, status: 201,
		before: packageOf(`"9.0.0":{}`, ``, ``), body: packageOf(versions+`,"9.0.0":{"deprecated":"x"}`, ``, ``),
	})
	for _, line := range lines(r.Events) {
		if strings.HasPrefix(line, "project:release:remove") {
			t.Errorf("what was not kept is said to be removed: %.300s", line)
		}
	}
	long := strings.Repeat("<é", 160)
	for i := range 40 {
		fmt.Fprintf(&all, `"%s%d":{"deprecated":"x"},`, long, i)
	}
	r = run(t, npm.New(npm.Options{}), talk{
		method: "PUT", path: "/demo-pkg", header: bearer, status: 201,
		body: packageOf(strings.TrimSuffix(strings.TrimPrefix(all.String(), versions+","), ","), ``, ``),
	})
	checkEvents(t, []*told{{Events: r.Events}}, nil)
	if len(r.Events) != 1 || len(r.Events[0].Subjects) < 3 || r.Events[0].Metadata["truncated"] != true {
		t.Errorf("events %.300q", lines(r.Events))
	}
}
