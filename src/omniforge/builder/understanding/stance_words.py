"""Phrases people answer with, sorted by what they do to an answer; `|` parts them."""

from __future__ import annotations

from enum import StrEnum


class Mark(StrEnum):
    YES = "yes"
    NO = "no"
    FILLER = "filler"
    HEDGE = "hedge"
    BACK = "back"
    RESTART = "restart"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    DELEGATE = "delegate"
    REPLACE = "replace"
    ADD = "add"
    CHANGE = "change"
    JOIN = "join"
    CONNECT = "connect"
    CREATE = "create"
    TEST = "test"
    ACTIVATE = "activate"
    RETRY = "retry"


PHRASES: dict[Mark, str] = {
    Mark.YES: """yes|yess|yep|yup|yea|yeah|yeh|ya|aye|y|sure|sure thing|ok|okay|okey|k|kk|alright|all right|
        right|correct|that's right|that's correct|exactly|indeed|absolutely|definitely|certainly|
        of course|by all means|perfect|great|excellent|awesome|fantastic|wonderful|brilliant|cool|fine|
        that's fine|lgtm|approved|i approve|confirm|confirmed|i confirm|agree|agreed|i agree|go|
        go ahead|go for it|go on|proceed|continue|let's go|get going|let's get going|get started|
        let's get started|let's start|let's begin|sounds like a plan|let's do it|let's do that|
        let's do this|do it|do that|do so|please do|make it so|ship it|sounds good|sounds great|
        sounds fine|sounds right|sounds perfect|looks good|looks great|looks fine|looks right|
        looks perfect|looks ok|looks okay|look good|look great|looks correct|looking good|all good|
        good|good to go|we're good|i'm good with|that works|works for me|that'll do|that will do|
        happy with|i'm happy|i like it|love it|i love it|like it|spot on|no problem|no worries|
        nothing to change|nothing else|that's what i wanted|that's what i want|what i wanted|
        what i want|what i need|what i needed|that's it|that's the one|no changes|no more changes|
        nothing to add|no objections|as it is|keep it|leave it as it is|affirmative|roger|why not|
        i'd like that|i would like that|i'd love that|i'd love to|done|👍|✅""",
    Mark.NO: """no|nope|nah|n|not|no thanks|no thank you|don't|do not|doesn't|didn't|isn't|wasn't|
        aren't|never|
        nothing|stop|negative|not now|not yet|not really|not today|hold off|wrong|incorrect|won't|
        wouldn't|can't|shouldn't|decline|declined|refuse|rather not|i'd rather not|skip the test|
        no test|without a test|without testing|i don't want|i don't want to|i don't think so|neither|
        leave it|leave it alone|leave it at that|forget that|no way|not like that|not this|👎|❌|
        not what i meant|that's not what i meant|not what i asked|not what i asked for|not what i want|
        that's not it|i'd prefer not|i'd prefer not to|prefer not to|i would rather not|
        i would prefer not to""",
    Mark.HEDGE: """maybe|perhaps|possibly|probably|i guess|i guess so|guess so|i suppose|i suppose so|
        suppose so|
        i think|i think so|think so|i believe|i believe so|not sure|i'm not sure|unsure|dunno|
        don't know|i don't know|no idea|hmm|hm|um|uh|erm|might|might be|could be|sort of|kind of|kinda|
        sorta|wait|hold on|one sec|one moment|let me think|let me check|i'll think|i'd have to|depends|
        it depends|if|unless|until|yeah right|yes and no|as if|not bad|later maybe|almost|nearly|
        except|said|
        not really sure|i'm not really sure|not quite sure|i'm not quite sure|not so sure|not entirely sure|
        not certain|i'm not certain|not completely sure|i'm not so sure|
        would have|could have|should have|might have|must have|i can do it|i could do it|i could|
        we could|i'll do it|i'll do that|right there|nice try|good try|good to have|nice to have|
        would be good""",
    Mark.BACK: """back|go back|let's go back|step back|one step back|previous|previous step|
        the previous step|
        before that|wait before that|go to the previous step|back up|take me back|
        return to the previous step|go back one step|go back a step|
        the previous question|previous question|the previous one|the question before|the step before|
        the last step|the last question""",
    Mark.RESTART: """start over|start again|start afresh|restart|from scratch|start from scratch|
        begin again|
        start from the beginning|from the beginning|reset|all over again|start all over|start new|
        let's start over|let's start again|let's restart|let's begin again|let's start from scratch|
        let's start from the beginning|start anew|wipe it|wipe everything""",
    Mark.CANCEL: """cancel|cancel it|cancel this|cancel that|cancel everything|abort|quit|exit|never mind|
        nevermind|forget it|forget about it|forget the whole thing|drop the whole thing|drop it|
        scrap it|scrap that|stop here|stop this|i give up|end this|done with this|i'm done with this|
        done with it|done with you""",
    Mark.PAUSE: """later|pause|pause here|let's pause|take a break|not right now|another time|
        some other time|
        let's continue later|continue later|leave it for now|we can continue later|let's do it later|
        let's do this later|let's do that later|do it later|come back later|i'll come back|
        i'll come back later|i'll be back|be right back|brb|gotta go|i have to go|i've got to go|
        i must go|i need to go|i have to run|talk later|another day|some other day|leave it there|
        not today, later|in a while|i need a break|let me come back to this|save it for later|park it|
        park this|
        i'll continue tomorrow|continue tomorrow|let's continue tomorrow|we'll continue tomorrow|
        i'll finish this later|finish this later|i'll finish it later|i'll do it later""",
    Mark.RESUME: """where were we|where was i|where did we leave off|where did we stop|resume|let's resume|
        let's continue|pick up where we left off|i'm back|back again|let's pick this up|
        what were we doing|where did we get to|what were we talking about|what was i doing|
        where were we at|let's go on where we stopped""",
    Mark.DELEGATE: """you choose|you decide|you pick|your choice|your call|up to you|it's up to you|
        whatever|
        whichever|whatever you think|whatever you think is best|whatever you like|as you like|
        whatever works|anything|anything works|any|skip|skip it|skip this|skip that|default|
        the default|defaults|the defaults|use the default|use the defaults|use defaults|
        take the default|take the defaults|you know best|surprise me|don't care|i don't care|
        i don't mind|don't mind|doesn't matter|it doesn't matter|no preference|your suggestion|
        as you suggest|as suggested|as you suggested|what you suggested|what you suggest|
        whatever you suggest|whichever you think|whichever you like|you suggested|you proposed|
        you recommended|use your suggestion|use your suggestions|use your judgment|use your judgement|
        what do you suggest|what do you recommend|you tell me|best guess|dealer's choice|
        same as you said|i leave it to you|leave it to you|leave it up to you|i'll leave it to you|
        i'll leave it up to you|pick one|just pick one|choose one|choose for me|pick for me|
        decide for me|you can choose|you can decide|you can pick|i trust you|i'm easy|either|
        either one|either way|either is fine|any of them|any of those|no strong opinion|
        go with your gut|your guess|what's best|whatever is best|whatever's easiest|
        whatever is easiest|the usual|as usual|the standard|
        skip that question|skip this question|skip the question|do what you think is best|
        do whatever you like|do as you like|do as you think best|what you think is best|
        as you think best""",
    Mark.REPLACE: """actually|instead|changed my mind|i've changed my mind|i changed my mind|change of plan|
        scratch that|strike that|forget|rather|on second thought|on second thoughts|switch to|ditch""",
    Mark.ADD: """also|too|as well|plus|add|adding|include|including|additionally|and also|but also""",
    Mark.CHANGE: """change|make|make it|set|remove|drop|delete|without|leave out|take out|exclude|omit|
        first|last|
        put|move|sort|order|group|rename|call|show|use|only|just|instead of|swap|replace|but|skip the|
        without the|with""",
    Mark.JOIN: "and|then|so|, ",
    Mark.FILLER: """please|pls|thanks|thank you|thx|that|that's|this|it|it's|its|is|the|to|me|for|i|i'd|
        like|want|
        would|will|you|we|us|all|very|much|so|now|then|just|well|oh|ah|hey|hi|hello|there|here|really|
        quite|looks|look|sounds|seems|works|let's|do|be|my|your|one|report|test|summary|preview|agent|
        draft|plan|with|mate|buddy|everything|thing|way|go|ahead|can|could|by|and|am|i'm|happy|good|
        nice|lovely|super|totally|completely|as|are|those|these|ones|give|ready|today|a|mean|have|yet|
        kindly|simply|again|perfectly|dear|sir|team|folks|already|bot|everyone""",
    Mark.CONNECT: """connect|connect it|connect notion|connect now|i connected|connected|i've connected|
        it's connected|i'm connected|i've done it|i did it|i did|did it|finished|i've finished|
        all done|i'm done|i have done it|i signed in|signed in|i've signed in|i allowed it|allowed|
        i authorized it|authorized|i approved it|accepted|complete|completed|i'm through|all set|
        it's done|that's done|is connected|notion is connected|link it|sign in|sign me in|
        i've allowed it|granted|access granted""",
    Mark.CREATE: """create|create it|create the agent|build it|build that|make it now|set it up|set that up|
        create that|create this|go create it|save|save it|save that|build the agent|make the agent""",
    Mark.TEST: """test|test it|test that|a test|a preview|try|try it|try it out|try that|run the test|
        run a test|
        do the test|do a test|test run|do a test run|show me the test|give it a try|give it a go|
        give it a spin|let's try it|let's test it|let's test|let's try|show me|let's see it|let's see|
        show me a preview|preview|preview it|test it again|run it again|run it|run it now|test again|
        run the test again|dry run|do a dry run|try it now|let's run it|let's run a test|run test|
        let's have a look|start the test|do a trial run|trial run|show me what it looks like|
        let me see it|let me see|show it to me""",
    Mark.ACTIVATE: """activate|activate it|switch it on|switch on|turn it on|turn on|enable it|enable|
        go live|
        make it live|put it live|set it live|start it|activate the agent|launch it|launch|
        let's go live|switch the agent on|turn the agent on|deploy it|power it on|flip the switch""",
    Mark.RETRY: """try again|retry|try once more|once more|one more time|try that again|try it again|
        another try""",
}
