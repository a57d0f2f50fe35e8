package redact_test

import "testing"

func TestMaskNames(t *testing.T) {
	for _, name := range []string{
		"password", "passwd", "passphrase", "passcode", "pwd", "MYSQL_PWD", "apikey", "api_key", "accesskey",
		"AWS_SECRET_ACCESS_KEY",
		"secretkey", "private-key", "AccountKey", "SharedAccessKey", "secret", "token", "signature",
		"X-Amz-Security-Token", "pass",
		"cookie", "cookies", "authorization", "Proxy-Authorization",
	} {
		checkMasked(t, []masking{
			{"?a=1&" + name + "=x=s3cret\nnext", "?a=1&" + name + "=***\nnext"},
			{`{"` + name + `":"s3 cret", "n": 1}`, `{"` + name + `":***, "n": 1}`},
		})
	}
}

func TestMaskValues(t *testing.T) {
	checkMasked(t, []masking{
		// connection strings of ADO
		{"Server=db;Password=s3 c ret;User Id=app", "Server=db;Password=***;User Id=app"},
		{"Password=s3 c ret;User Id=app", "Password=***;User Id=app"},
		{"Password = s3 c;ret ; User Id = app", "Password = ***; User Id = app"},
		{"Server=db;Pwd=s3 c ret;", "Server=db;Pwd=***;"},
		{"Server=db;Pwd=s3 c ret", "Server=db;Pwd=***"},
		{"Server=db;Pwd=s3 c ret\nis wrong", "Server=db;Pwd=***\nis wrong"},
		{`can't open "Server=db;Password=s3 c"ret" now`, `can't open "Server=db;Password=***" now`},
		{`can't open "Server=db;Password=s3 c ret;" now`, `can't open "Server=db;Password=***;" now`},
		{"Server=db; Pwd=s3 c ret", "Server=db; Pwd=***"},
		{"Server=db;Pwd=s3 c; ", "Server=db;Pwd=***; "},
		{"Server=db;Pwd=s3 c;;Size=1", "Server=db;Pwd=***;Size=1"},
		{"Server=db;Pwd=s3 c;š ret=1", "Server=db;Pwd=***"},
		{`Password="s3 c;ret";User Id=app`, "Password=***;User Id=app"},
		{`Password='s3 c;ret' ;User Id=app`, "Password=*** ;User Id=app"},
		{`Password="s3"" c;ret";User Id=app`, "Password=***;User Id=app"},
		{`Password='s3'' c;ret';User Id=app`, "Password=***;User Id=app"},
		{"Driver=x;PWD={s3 c;r}}et};UID=app", "Driver=x;PWD=***;UID=app"},
		{"PWD={s3 c;ret", "PWD=*** c;ret"},
		{
			"jdbc:sqlserver://db;user=app;password=s3 c ret;encrypt=true",
			"jdbc:sqlserver://db;user=app;password=***;encrypt=true",
		},

		{
			"https://x.blob.core.windows.net/a?sv=1&sig=s3%2Bcret%3D",
			"https://x.blob.core.windows.net/a?sv=1&sig=***",
		},
		{"https://x/a?sig=s3cret", "https://x/a?sig=***"},
		{"SharedAccessSignature sr=a;sig=s3cret;se=1", "SharedAccessSignature sr=a;sig=***"},

		{"Cookie: a=s3cret; b=s3cret\nHost: x", "Cookie: ***\nHost: x"},
		{"set-cookie: id=s3cret; Path=/; Expires=Wed, 21 Oct 2026", "set-cookie: ***"},
		{"Set-Cookie:id=s3cret", "Set-Cookie:***"},
		{"cookie=s3cret next", "cookie=*** next"},
		{"map[Accept:[x] Cookie:[a=s3cret; b=s3cret]]", "map[Accept:[x] Cookie:[***"},
		{`{"Cookie":["a=s3cret; b=s3cret"],"n":1} x`, `{"Cookie":*** x`},

		{"ALTER ROLE app PASSWORD 's3 cret'", "ALTER ROLE app PASSWORD ***"},
		{
			"create user app with encrypted password 's3''cret' valid until 'x'",
			"create user app with encrypted password *** valid until 'x'",
		},
		{`ALTER ROLE app PASSWORD E's3\'cret';`, `ALTER ROLE app PASSWORD E***;`},
		{"SET PASSWORD FOR app = PASSWORD('s3cret')", "SET PASSWORD FOR app = PASSWORD(***)"},
		{"OPTIONS (user 'app', password 's3cret')", "OPTIONS (user 'app', password ***)"},
		{`FATAL: password "s3cret" is wrong`, `FATAL: password *** is wrong`},
		{
			"CREATE USER app IDENTIFIED BY 's3 cret' REQUIRE SSL",
			"CREATE USER app IDENTIFIED BY *** REQUIRE SSL",
		},
		{"create user app identified by\n's3 cret'", "create user app identified by\n***"},
		{"IDENTIFIED WITH mysql_native_password BY 's3cret'", "IDENTIFIED WITH mysql_native_password BY ***"},
		{"identified with 'x' as 's3cret', ", "identified with 'x' as ***, "},
		{"ALTER USER app IDENTIFIED BY s3cret", "ALTER USER app IDENTIFIED BY ***"},

		{"run --password s3cret --verbose", "run --password *** --verbose"},
		{"run --password=s3cret --verbose", "run --password=*** --verbose"},
		{"run --db-password\t's3 cret' x", "run --db-password\t*** x"},
		{"run -password s3cret", "run -password ***"},
		{"run --token s3cret --api-key s3cret", "run --token *** --api-key ***"},
		{"redis-server --requirepass s3cret", "redis-server --requirepass ***"},
		{`["run","--password","s3 cret","x"]`, `["run","--password",***,"x"]`},
		{`["run" "--password" "s3 cret" "x"]`, `["run" "--password" *** "x"]`},
		{"docker login -u app -p 's3 cret' x", "docker login -u app -p *** x"},
		{"docker login -u app -p 123456s3", "docker login -u app -p ***"},
		{"token= s3cret", "token= ***"},
		{"authToken: s3cret", "authToken: ***"},
		{"docker login -u app -p s3cret", "docker login -u app -p ***"},
		{"docker login --username app -p s3cret", "docker login --username app -p ***"},
	})
}

func TestMaskValuesLeavesProse(t *testing.T) {
	checkUnmasked(t, []string{
		"cookie: not found", "invalid cookie: expired", "http: named cookie not present", "cookies: 5",
		"Set-Cookie: refused",
		"sig: killed", "design=x config=y", "sig=SIGTERM", "signal=9; sigma=1",
		"password authentication failed for user 'app'", `the "password" "field"`, "password's length",
		`secret 'db' not found`,
		"the pod is identified by its name", "identified as healthy", "identifiedby 'x'",
		"IDENTIFIED standby nodes", "IDENTIFIED BYPASS 'x'", "IDENTIFIED nothing",
		"flag needs an argument: --password", "unknown flag: --token\nUsage: run", "--password is required",
		"--password requires: a value", "--password ", "tool -u x --out file",
		"--password or --password-file",
		"--password-file /run/pw", "--no-password --verbose", "--max-tokens 5", "use --password, to log in",
		"a - token is missing",
		"x--password x", "ssh -p 22", "mkdir -p data", "docker run -u 1000 -p 8080:80 app",
		"tool -u x\nmkdir -p data", "mkdir -u x -p /data",
		"a=1; b=2; password is wrong", "tokens=5; x",
	})
}
