package route53

import (
	"context"
	"errors"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go"

	"github.com/edgewright/edgewright/control/dnsproviders"
)

// Codes of the API (docs.aws.amazon.com, Route 53 API Reference, Common Errors).
var (
	badKey  = []string{"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId"}
	noPerm  = []string{"AccessDenied", "AccessDeniedException", "OptInRequired", "NotAuthorized"}
	tooMany = []string{"Throttling", "ThrottlingException", "PriorRequestNotComplete", "TooManyRequestsException", "RequestLimitExceeded"}
	skewed  = []string{"RequestExpired", "RequestTimeTooSkewed"}
)

// trouble turns the SDK's error into the user's terms.
func trouble(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	e := &dnsproviders.Error{Err: err}
	var batch *types.InvalidChangeBatch
	if errors.As(err, &batch) {
		return badBatch(e, batch)
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		e.Reason, e.Message, e.Fix = dnsproviders.Away, "Route 53's API cannot be reached, or its answer cannot be read", "try again; if it stays so, see health.aws.amazon.com"
		e.Detail = dnsproviders.CauseOf(err)
		return e
	}
	e.Detail = dnsproviders.Short(api.ErrorCode() + ": " + api.ErrorMessage())
	code := api.ErrorCode()
	var response *awshttp.ResponseError
	status := 0
	if errors.As(err, &response) && response.Response != nil {
		status = response.HTTPStatusCode()
	}
	switch {
	case slices.Contains(skewed, code), slices.Contains(badKey, code) && strings.Contains(api.ErrorMessage(), "Signature expired"):
		e.Reason, e.Message, e.Fix = dnsproviders.Away, "Route 53 finds that this machine's clock is wrong", "set the clock of the control plane's machine"
	case slices.Contains(badKey, code):
		e.Reason, e.Message, e.Fix = dnsproviders.BadCredentials, "AWS does not accept the access key", "make a new access key of the IAM user, and replace the credentials"
	case slices.Contains(noPerm, code):
		e.Reason, e.Message, e.Fix = dnsproviders.NoPermission, "the access key may not do this",
			"let its IAM user route53:ListHostedZones, ListResourceRecordSets, ChangeResourceRecordSets and GetChange on the hosted zone"
	case code == "NoSuchHostedZone":
		e.Reason, e.Message, e.Fix = dnsproviders.NoZone, "Route 53 has no such hosted zone", "see whether it was deleted, or belongs to another AWS account"
	case slices.Contains(tooMany, code), status == 429:
		e.Reason, e.Message, e.Fix = dnsproviders.Throttled, "Route 53 asks for fewer requests", "wait a little and try again"
	case status >= 500:
		e.Reason, e.Message, e.Fix = dnsproviders.Away, "Route 53 failed", "try again; if it stays so, see health.aws.amazon.com"
	default:
		e.Reason, e.Message, e.Fix = dnsproviders.Rejected, "Route 53 does not take this", "change what it names, and make a new plan"
	}
	return e
}

// badBatch tells a zone that has changed from a record that is refused.
func badBatch(e *dnsproviders.Error, batch *types.InvalidChangeBatch) error {
	words := strings.Join(append(slices.Clone(batch.Messages), batch.ErrorMessage()), "; ")
	e.Detail = dnsproviders.Short(strings.Trim(words, "; "))
	for _, sign := range []string{"already exists", "not found", "do not match the current values"} {
		if strings.Contains(words, sign) {
			e.Reason, e.Message, e.Fix = dnsproviders.Moved, "the records at Route 53 are not what the plan was made for", "make a new plan"
			return e
		}
	}
	e.Reason, e.Message, e.Fix = dnsproviders.Rejected, "Route 53 does not take this record", "change what it names, and make a new plan"
	return e
}
