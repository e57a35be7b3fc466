// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package login tests logins of browsers: the code flow, sessions, refresh and logout, with a
// stand-in for the issuer that is strict, and with Dex. What a browser decides is tested with a
// real one: tests whose names begin with TestChromium.
//
// The acceptance tests of logins, by their numbers, and where each is. A name without a folder is
// in this one.
//
//	 1  TestChromiumLogsInByAFormAndComesToThePageThatItOpened, TestChromiumLogsInAtDex
//	 2  TestChromiumLogsInByRedirectsAloneAndSeesNoPageOfOurs
//	 3  TestChromiumLogsInInTwoTabsAtOnce, TestTwoTabsLogInAtOnce
//	 4  TestChromiumRestoresTenTabs
//	 5  TestChromiumGoesBackOntoTheCallback, TestABackButtonOntoTheCallbackRedeemsNothing
//	 6  TestChromiumFinishesALoginThatWasLeftOpen
//	 7  TestChromiumOpensTheCallbackOfAnAttacker, TestAnAttackersCallbackInAVictimsBrowserRedeemsNothing
//	 8  TestAStateOfAnotherBrowserIsRefusedBeforeTheTokenEndpoint
//	 9  TestACodeOfAnotherAttemptIsRefusedByItsVerifier
//	10  TestIDTokensThatAreNotOfThisLoginAreRefused; session/codeflow: TestIDTokensOfALogin
//	11  TestTheIssuerParameter, TestACodeOfOneIssuerAtTheCallbackOfTheOther
//	12  TestCallbacksThatTheIssuerDidNotSend, TestFormsThatTheIssuerDidNotPost; session/codeflow: FuzzParseCallback
//	13  TestChromiumReturnsToThisSiteOnly, TestAReturnPathNeverLeadsToAnotherSite; session: TestReturnPath, FuzzReturnPath
//	14  TestARequestTargetInAbsoluteForm, TestFieldsOfProxiesThatAreNotTrustedDoNotMoveTheSite
//	15  TestChromiumGetsCookiesFromASubdomain
//	16  TestACookieThatIsThereTwiceIsNoSession
//	17  TestASessionOfAnotherSiteIsNone; session: TestSealedValuesCannotBeSwapped, TestCacheKnowsTheSite
//	18  TestADamagedCookieIsNone; session: TestEveryFlippedBitMakesTheCookieUnreadable, TestCookiesThatAreNotASession
//	19  session: TestContentThatOnlyAThiefOfTheKeySeals
//	20  TestAForgedSessionThatIsSealedWithTheRealKey
//	21  TestALoginHasATicketOfItsOwn; session: TestTicketFromBeforeALoginIsDeadAfterIt, TestEachLoginHasAnIDOfItsOwn
//	22  TestChromiumOverPlainHTTP, TestPlainHTTPNeedsTheOption
//	23  TestChromiumPostsTheAnswerOfTheIssuer, TestChromiumLogsInByAFormAndComesToThePageThatItOpened
//	24  TestChromiumsRequestsOfAPageWithoutASession
//	25  TestChromiumNavigatesWithoutTheUser
//	26  TestChromiumLogsInBehindAServiceWorker
//	27  TestAFormAfterTheSessionHasEnded
//	28  TestOnlyNavigationsAreSentToLogIn, TestKubectlWithoutACredential
//	29  TestABearerTokenCountsMoreThanASession
//	30  TestASourceAfterALogin
//	31  TestOtherSitesPagesCannotUseTheSession; ../browser: TestBrowserAttacks
//	32  TestManyRequestsRefreshOnce, TestSessionsThatAreDueAtOnceAreRefreshedOnceEach
//	33  TestARefreshSurvivesTheClientThatLedIt
//	34  TestTwoReplicasWithAStoreRefreshOnce; session: TestThousandStoredSessionsOfTwoReplicasRefreshOnceEach
//	35  TestTwoReplicasWithoutAStore
//	36  TestAnIssuerThatFailsToRefresh; a slow issuer, session: TestSlowIssuer, TestFailuresOfTheIssuer
//	37  TestAGrantThatTheIssuerEnds, TestAnIssuerThatFailsToRefresh
//	38  TestRefreshesThatEndASession, TestRefreshesWithoutATokenOfTheAnswer
//	39  TestTheCookieOfARefreshedSessionReachesTheBrowser, TestAStreamOutlivesTheIDTokenAndEndsAtLogout
//	40  TestChromiumLogsOutInAllTabs, TestALogoutIsKnownAtTheOtherReplica
//	41  TestChromiumIsNotLoggedOutByAnotherSite, TestAnotherSitesPageCannotLogOut
//	42  TestALogout, TestALogoutWhereTheIssuerHasNoPageForIt, TestChromiumLogsInAtDex (the form and its policy)
//	43  TestLogoutTokensThatAreNotGood, TestTheIssuerEndsASessionByItsName
//	44  TestALogoutTokenIsNotABearerToken
//	45  TestCookiesOfTheSessionNeverReachTheUpstream, TestCookiesOverTLSNeverReachTheUpstream (HTTP/1.1 and 2),
//	    TestAHandshakesCookiesNeverReachTheUpstream, TestNoByteOfASessionReachesTheUpstreamOrALog; not over HTTP/3
//	46  TestAnUpstreamSetsNoCookieOfTheSession, TestTheCookieOfARefreshedSessionReachesTheBrowser
//	47  TestVeryManyGroups; session: TestSizeOfASession, TestLargestSessionFitsWithEverythingElse
//	48  TestChromiumHasTheCookiesOfASessionThatGrowsAndShrinks
//	49  TestKeysOfAFileAreRotated; session: TestInstancesThatShareAStorageAlwaysOpenEachOthersSessions
//	50  TestInstancesThatDoNotShareTheirKeys, TestChromiumWithoutCookiesComesToAPageThatNamesThem,
//	    TestASessionThatIsDroppedEndsOnAPage
//	51  TestAReloadLosesNothing, TestAChangedSecretIsUsed; not with an open stream, which Caddy itself ends
//	52  TestASessionThatIsNotUsedEnds, TestARefreshDoesNotMoveTheLifetime, TestTheClockOfTheIssuer
//	53  TestAPolicyRefusesTheUserWithoutALoop, TestAGroupThatIsTakenAwayAtTheIssuer
//	54  TestAnonymousBesideALogin, TestALogoutReturnsToAnonymous
//	55  TestWhereTheCallbackIs, TestAMatcherThatLeavesTheCallbackOut, TestBehindATrustedProxyThatEndsTLS
//	56  TestAnIssuerThatCannotBeUsed, TestAnIssuerThatIsDownAtTheStart, TestAnIssuerThatGoesDownDuringALogin
//	57  TestChromiumKeepsFragments
//	58  TestLogsAndMetricsHaveNoSecrets, TestNoByteOfASessionReachesTheUpstreamOrALog; not traces
//	59  TestChromiumDoesNotShowOldPagesOfOurs
//	60  session: TestOpeningFromTheCacheIsQuick; bench: TestAFloodOfPagesWithoutASession, and the figures in its README
package login
